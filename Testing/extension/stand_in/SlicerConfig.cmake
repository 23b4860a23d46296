# Stands in for a Slicer 5.10 build tree when the extension is configured, built and installed in the tests. Folder names, argument names
# and what is refused are Slicer's (CMake/SlicerDirectories, SlicerMacroBuildScriptedModule, SlicerMacroPythonTesting, SlicerExtensionCPack)
# and CTK's (CMake/ctkMacroCompilePythonScript); byte compilation, translation and packaging are left out.

set(Slicer_VERSION_MAJOR 5)
set(Slicer_VERSION_MINOR 10)
set(Slicer_USE_PYTHONQT ON)
set(Slicer_INSTALL_ROOT "./")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.10/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_INSTALL_ROOT}${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
set(Slicer_SHARE_DIR "share/Slicer-5.10")
# Some program that exists: CTest lists no command of a test whose program it cannot find.
set(Slicer_LAUNCHER_EXECUTABLE "${CMAKE_COMMAND}")

set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionGenerateConfig.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionCPack.cmake")
