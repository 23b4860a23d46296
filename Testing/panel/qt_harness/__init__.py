"""A small Qt host in which the Slicer module runs without Slicer; see README.md beside this file."""
