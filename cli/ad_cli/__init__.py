"""The mouth: each command parses, makes one call and prints."""
