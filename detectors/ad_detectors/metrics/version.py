"""Which way of measuring an evaluation was made by."""

VERSION = 1  # grows whenever the same scores and maps would give other measures, or other evidence
