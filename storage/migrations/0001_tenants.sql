-- Organisations, who is asking, and the time base. Everything belongs to the role servitize_owner, which nobody logs in as.

-- A function is nobody's until a grant says so; the grants are in 0007_rights.sql.
ALTER DEFAULT PRIVILEGES FOR ROLE servitize_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Microseconds since 1970 are the platform's time; both directions are exact (no float in between).
CREATE FUNCTION servitize.from_us(us bigint) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN timestamptz '1970-01-01 00:00:00+00'
        + (us / 1000000) * interval '1 second' + (us % 1000000) * interval '1 microsecond';

CREATE FUNCTION servitize.to_us(moment timestamptz) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (extract(epoch FROM moment) * 1000000)::bigint;

CREATE TABLE servitize.tenant (
    id                int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug              text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name              text NOT NULL,
    unknown_equipment text NOT NULL DEFAULT 'reject' CHECK (unknown_equipment IN ('reject', 'pending', 'accept')),
    publisher_clock   boolean NOT NULL DEFAULT false,
    past_window_us    bigint CHECK (past_window_us > 0),
    future_bound_us   bigint NOT NULL DEFAULT 60000000 CHECK (future_bound_us >= 0),
    created_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN servitize.tenant.publisher_clock IS
    'The timeline is the publisher''s clock message (demo, replay), not the host''s clock.';
COMMENT ON COLUMN servitize.tenant.past_window_us IS 'Older readings are refused; NULL: any age is welcome.';

-- Boards (Grafana) have one database login per tenant. A tenant setting is worth nothing there: whoever writes SQL could set it.
CREATE TABLE servitize.board_login (
    login      text PRIMARY KEY,
    tenant_id  int NOT NULL REFERENCES servitize.tenant,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The tenant on whose behalf a query runs, NULL where there is none (then nothing is visible). session_user, not
-- current_user: inside definer functions and views the latter is the owner.
CREATE FUNCTION servitize.current_tenant() RETURNS int
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE
        WHEN pg_has_role(session_user, 'servitize_api', 'MEMBER')
            THEN nullif(current_setting('servitize.tenant', true), '')::int
        ELSE (SELECT b.tenant_id FROM servitize.board_login b WHERE b.login = session_user)
    END;

CREATE TABLE servitize.site (
    id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  int NOT NULL REFERENCES servitize.tenant,
    key        text NOT NULL,
    name       text NOT NULL,
    timezone   text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, key)
);
