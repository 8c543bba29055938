-- Signed in to the web board. A session and a one-time link stand for an API key and are worth what it is worth at each request: revoking the
-- key ends them. Only hashes are kept. The API has no right on the tables; the functions are its doors.

CREATE TABLE servitize.board_session (
    hash      bytea PRIMARY KEY,
    key_id    bigint NOT NULL REFERENCES servitize.api_key ON DELETE CASCADE,
    opened_at timestamptz NOT NULL DEFAULT now(),
    used_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX board_session_used_at ON servitize.board_session (used_at);

CREATE TABLE servitize.board_ticket (
    hash       bytea PRIMARY KEY,
    key_id     bigint NOT NULL REFERENCES servitize.api_key ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE servitize.board_ticket IS 'Links that sign in once; made where the owner''s login is at hand (the command line).';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['board_session', 'board_ticket']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
    END LOOP;
END $$;

-- Twelve hours without use, or a week in all.
CREATE FUNCTION servitize.board_session_holds(opened_at timestamptz, used_at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN used_at > now() - interval '12 hours' AND opened_at > now() - interval '7 days';

CREATE FUNCTION servitize.add_board_session(key bigint, session_hash bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM servitize.board_session s WHERE NOT servitize.board_session_holds(s.opened_at, s.used_at);
    INSERT INTO servitize.board_session (hash, key_id) VALUES (session_hash, key);
$$;

-- False: the key is wrong, revoked or expired.
CREATE FUNCTION servitize.open_board_session(key_prefix text, key_hash bytea, session_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key bigint;
BEGIN
    SELECT a.key_id INTO key FROM servitize.authenticate(key_prefix, key_hash) a;
    IF key IS NULL THEN
        RETURN false;
    END IF;
    PERFORM servitize.add_board_session(key, session_hash);
    RETURN true;
END $$;

-- False: the link was used, has expired, or never was. Whether its key still holds shows at the first use of the session.
CREATE FUNCTION servitize.redeem_board_ticket(ticket_hash bytea, session_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key bigint;
BEGIN
    DELETE FROM servitize.board_ticket t WHERE t.expires_at <= now();
    DELETE FROM servitize.board_ticket t WHERE t.hash = ticket_hash RETURNING t.key_id INTO key;
    IF key IS NULL THEN
        RETURN false;
    END IF;
    PERFORM servitize.add_board_session(key, session_hash);
    RETURN true;
END $$;

-- Whose session it is, as the key is now; no row where it has ended or the key no longer holds.
CREATE FUNCTION servitize.board_session(session_hash bytea)
    RETURNS TABLE (key_id bigint, prefix text, name text, tenant_id int, tenant text, scopes text[], role text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- once a minute is enough to know that it is in use, and keeps reads from becoming writes
    UPDATE servitize.board_session s SET used_at = now()
     WHERE s.hash = session_hash AND s.used_at < now() - interval '1 minute' AND servitize.board_session_holds(s.opened_at, s.used_at);
    RETURN QUERY
        SELECT k.id, k.prefix, k.name, k.tenant_id, t.name, k.scopes, k.role
          FROM servitize.board_session s
          JOIN servitize.api_key k ON k.id = s.key_id
          JOIN servitize.tenant t ON t.id = k.tenant_id
         WHERE s.hash = session_hash AND servitize.board_session_holds(s.opened_at, s.used_at)
           AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
END $$;

CREATE FUNCTION servitize.close_board_session(session_hash bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM servitize.board_session s WHERE s.hash = session_hash
$$;

GRANT EXECUTE ON FUNCTION servitize.open_board_session, servitize.redeem_board_ticket, servitize.board_session, servitize.close_board_session
    TO servitize_api;
