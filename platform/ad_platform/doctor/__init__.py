"""Looks whether what adctl needs is there and fits together; says what to do, and changes nothing."""
