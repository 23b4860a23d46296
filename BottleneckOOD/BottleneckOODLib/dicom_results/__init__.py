"""A result as DICOM objects of the scan's own study: the mask, the report, the picture.

Importing highdicom takes a second, so the files below are imported only where objects are asked for.
"""
