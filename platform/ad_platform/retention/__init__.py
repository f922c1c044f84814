"""What lies in the storage and is needed by nothing: found, moved to a trash, restored or removed."""
