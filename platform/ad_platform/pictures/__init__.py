"""Pictures in the storage by their content: pushed from where they lie, fetched where they do not."""
