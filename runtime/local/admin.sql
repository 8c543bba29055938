-- What LocalPostgres does as superuser. Names in braces are composed as identifiers or literals by psycopg, never
-- pasted as text. Parsed by runtime/local/postgres.py: one statement after each "-- name:" line.

-- name: role_exists
SELECT 1 FROM pg_roles WHERE rolname = %(role)s

-- name: create_owner
CREATE ROLE {role} LOGIN CREATEDB CREATEROLE PASSWORD {password}

-- name: create_login
CREATE ROLE {role} LOGIN PASSWORD {password}

-- name: set_password
ALTER ROLE {role} LOGIN PASSWORD {password}

-- name: database_exists
SELECT 1 FROM pg_database WHERE datname = %(database)s

-- name: create_database
CREATE DATABASE {database} OWNER {owner}

-- name: create_database_from
CREATE DATABASE {database} OWNER {owner} TEMPLATE {template}

-- name: drop_database
DROP DATABASE IF EXISTS {database} WITH (FORCE)

-- name: rename_database
ALTER DATABASE {database} RENAME TO {new_name}

-- name: server_version
SHOW server_version
