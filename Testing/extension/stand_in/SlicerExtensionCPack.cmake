if(NOT "${EXTENSION_NAME}" STREQUAL "${PROJECT_NAME}")
  message(FATAL_ERROR "Slicer packages an extension only when EXTENSION_NAME is PROJECT_NAME")
endif()
foreach(_file IN ITEMS EXTENSION_README_FILE EXTENSION_LICENSE_FILE)
  if(NOT EXISTS "${${_file}}")
    message(FATAL_ERROR "error: ${_file} points to an inexistent file: ${${_file}}")
  endif()
endforeach()

# Slicer hands each value over as function arguments: a value with a semicolon would fall apart into two.
set(_description "scm git\nbuild_subdirectory .\nenabled 1\n")
foreach(_name IN ITEMS DEPENDS HOMEPAGE CONTRIBUTORS CATEGORY ICONURL STATUS TIER DESCRIPTION SCREENSHOTURLS)
  list(LENGTH EXTENSION_${_name} _length)
  if(NOT _length EQUAL 1)
    message(FATAL_ERROR "error: EXTENSION_${_name} must hold one value and holds ${_length}")
  endif()
  string(TOLOWER ${_name} _keyword)
  string(APPEND _description "${_keyword} ${EXTENSION_${_name}}\n")
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext" "${_description}")
install(FILES "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext"
  DESTINATION "${Slicer_INSTALL_ROOT}${Slicer_SHARE_DIR}"
  COMPONENT RuntimeLibraries
  )
