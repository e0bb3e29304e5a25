"""Our database. The only room that imports SQLAlchemy; SQLite and PostgreSQL from one set of tables and one text of SQL."""
