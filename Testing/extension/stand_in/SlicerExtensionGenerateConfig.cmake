# Slicer writes <extension>Config.cmake for extensions that depend on this one; nothing of it is looked at here.
