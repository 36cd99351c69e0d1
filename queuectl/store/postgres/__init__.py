"""The store in a schema of a PostgreSQL database, which many machines share. It needs the extra ``postgres``."""
