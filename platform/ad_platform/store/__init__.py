"""The only truth about jobs, studies and champions: one contract, kept on SQLite and PostgreSQL."""
