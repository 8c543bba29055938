-- name: role_exists(role)$
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role);

-- name: keep_for_roles(role, verifier)!
-- What the two statements below read: DDL takes no parameters.
SELECT set_config('servitize.role', :role, true), set_config('servitize.verifier', :verifier, true);

-- name: create_role()!
DO $$ BEGIN EXECUTE format('CREATE ROLE %%I NOLOGIN', current_setting('servitize.role')); END $$;

-- name: set_login()!
DO $$ BEGIN
    EXECUTE format('ALTER ROLE %%I LOGIN PASSWORD %%L', current_setting('servitize.role'), current_setting('servitize.verifier'));
END $$;

-- name: grant_role_to_me()!
DO $$ BEGIN
    IF NOT pg_has_role(current_user, current_setting('servitize.role'), 'USAGE') THEN
        EXECUTE format('GRANT %%I TO CURRENT_USER', current_setting('servitize.role'));
    END IF;
END $$;

-- name: grant_board_role()!
DO $$ BEGIN
    EXECUTE format('GRANT servitize_board TO %%I', current_setting('servitize.role'));
END $$;

-- name: lock()!
SELECT pg_advisory_lock(hashtext('servitize.migrate'));

-- name: create_schema()!
CREATE SCHEMA IF NOT EXISTS servitize AUTHORIZATION servitize_owner;

-- name: become_owner()!
SET LOCAL ROLE servitize_owner;

-- name: create_ledger()!
CREATE TABLE IF NOT EXISTS servitize.migration (
    name       text PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: create_engine()!
CREATE TABLE IF NOT EXISTS servitize.engine (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    name      text NOT NULL,
    chosen_at timestamptz NOT NULL DEFAULT now()
);

-- name: engine()$
SELECT name FROM servitize.engine;

-- name: record_engine(engine)!
INSERT INTO servitize.engine (name) VALUES (:engine) ON CONFLICT (one) DO NOTHING;

-- name: timescale_available()$
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb');

-- name: create_timescale()!
CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public;

-- name: let_owner_run_jobs()!
-- TimescaleDB starts jobs only of roles that may log in. Without a password and with no connection allowed nobody else can.
ALTER ROLE servitize_owner LOGIN PASSWORD NULL CONNECTION LIMIT 0;

-- name: versions()^
SELECT split_part(current_setting('server_version'), ' ', 1),
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb');

-- name: ledger()
SELECT name, checksum FROM servitize.migration ORDER BY name;

-- name: record(name, checksum)!
INSERT INTO servitize.migration (name, checksum) VALUES (:name, :checksum);

-- name: maintain()$
SELECT servitize.maintain_partitions();
