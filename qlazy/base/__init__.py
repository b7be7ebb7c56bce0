"""What every wing stands on: errors, storage, memory, execution, tables, version."""
