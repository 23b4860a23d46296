include(CTest)

if(NOT DEFINED EXTENSION_NAME)
  set(EXTENSION_NAME ${PROJECT_NAME})
endif()

# Every listed file is copied to the same relative path in the build tree, whose folder is then installed as a whole.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY_SLICER "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_SLICER_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords given to slicerMacroBuildScriptedModule(): \"${MY_SLICER_UNPARSED_ARGUMENTS}\"")
  endif()
  if(NOT DEFINED MY_SLICER_NAME)
    message(FATAL_ERROR "NAME is mandatory")
  endif()
  if(NOT Slicer_USE_PYTHONQT)
    message(FATAL_ERROR "A scripted module needs Slicer_USE_PYTHONQT")
  endif()

  set(_copied)
  foreach(_file IN LISTS MY_SLICER_SCRIPTS MY_SLICER_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule given nonexistent file or directory '${_file}'")
    endif()
    set(_source "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
    set(_target "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/${_file}")
    add_custom_command(
      OUTPUT "${_target}"
      COMMAND ${CMAKE_COMMAND} -E copy "${_source}" "${_target}"
      DEPENDS "${_source}"
      )
    list(APPEND _copied "${_target}")
  endforeach()
  add_custom_target(Copy${MY_SLICER_NAME}PythonFiles ALL DEPENDS ${_copied})
  if(STAND_IN_INSTALLS_ONLY_WHAT_IS_LISTED)
    foreach(_file IN LISTS MY_SLICER_SCRIPTS MY_SLICER_RESOURCES)
      get_filename_component(_folder "${_file}" DIRECTORY)
      install(FILES "${_file}"
        DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/${_folder}"
        COMPONENT RuntimeLibraries
        )
    endforeach()
  else()
    install(DIRECTORY "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/"
      DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}"
      COMPONENT RuntimeLibraries
      USE_SOURCE_PERMISSIONS
      )
  endif()

  if(BUILD_TESTING AND MY_SLICER_WITH_GENERIC_TESTS)
    add_test(NAME py_nomainwindow_qSlicer${MY_SLICER_NAME}ModuleGenericTest COMMAND ${Slicer_LAUNCHER_EXECUTABLE})
  endif()
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR NOT DEFINED MY_SCRIPT)
    message(FATAL_ERROR "slicer_add_python_unittest wants SCRIPT and knows TESTNAME_PREFIX and SLICER_ARGS")
  endif()
  get_filename_component(_test_name ${MY_SCRIPT} NAME_WE)
  add_test(
    NAME py_${MY_TESTNAME_PREFIX}${_test_name}
    COMMAND ${Slicer_LAUNCHER_EXECUTABLE} --no-splash --testing ${MY_SLICER_ARGS} --python-code
      "import slicer.testing; slicer.testing.runUnitTest(['${CMAKE_CURRENT_BINARY_DIR}', '${CMAKE_CURRENT_SOURCE_DIR}'], '${_test_name}')"
    )
endmacro()
