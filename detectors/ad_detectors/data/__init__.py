"""Pictures on disk: where they lie, what exactly they are, and how they become pixels."""
