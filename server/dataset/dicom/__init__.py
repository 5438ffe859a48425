"""A data set as DICOM."""
