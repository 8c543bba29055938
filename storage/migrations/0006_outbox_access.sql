-- Leaving the house (outbox) and entering it (keys, devices), and the log of who did what.

-- seq is given by one sequencer to committed rows only, so a reader that remembers the last seq it saw never misses a row that committed late.
CREATE TABLE servitize.outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq          bigint UNIQUE,
    tenant_id    int NOT NULL REFERENCES servitize.tenant,
    equipment_id int REFERENCES servitize.equipment,
    kind         text NOT NULL,
    payload      jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN servitize.outbox.equipment_id IS 'Who sees the equipment sees the row; NULL: only the tenant itself.';
CREATE INDEX outbox_unnumbered ON servitize.outbox (id) WHERE seq IS NULL;

CREATE TABLE servitize.outbox_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
);
INSERT INTO servitize.outbox_head (seq) VALUES (0);

CREATE FUNCTION servitize.outbox_arrived() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('servitize_outbox_new', '');
    RETURN NULL;
END $$;
CREATE TRIGGER arrived AFTER INSERT ON servitize.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.outbox_arrived();

-- Numbers what is committed and unnumbered, tells listeners of channel servitize_outbox, returns the highest number given.
-- The lock is taken before the rows are looked at: two callers number one after the other.
CREATE FUNCTION servitize.sequence_outbox() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    head  bigint;
    fresh bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('servitize.sequence_outbox'));
    SELECT h.seq INTO head FROM servitize.outbox_head h;
    UPDATE servitize.outbox o SET seq = head + n.rank
      FROM (SELECT u.id, row_number() OVER (ORDER BY u.id) AS rank FROM servitize.outbox u WHERE u.seq IS NULL) n
     WHERE o.id = n.id;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    IF fresh > 0 THEN
        UPDATE servitize.outbox_head SET seq = head + fresh;
        PERFORM pg_notify('servitize_outbox', (head + fresh)::text);
    END IF;
    RETURN head + fresh;
END $$;

CREATE TABLE servitize.api_key (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    int NOT NULL REFERENCES servitize.tenant,
    name         text NOT NULL,
    prefix       text NOT NULL UNIQUE,
    hash         bytea NOT NULL,
    scopes       text[] NOT NULL,
    role         text NOT NULL DEFAULT 'viewer' CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- Before a tenant is known nothing is visible, so this looks for the API. The secret has 256 random bits: nobody guesses towards a
-- SHA-256 of it, and a slow password hash would only slow us.
CREATE FUNCTION servitize.authenticate(key_prefix text, key_hash bytea)
    RETURNS TABLE (key_id bigint, tenant_id int, tenant text, scopes text[], role text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k servitize.api_key;
BEGIN
    SELECT * INTO k FROM servitize.api_key a
     WHERE a.prefix = key_prefix AND a.hash = key_hash
       AND a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now());
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- once a minute is enough to tell which keys are in use, and keeps reads from becoming writes
    IF k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute' THEN
        UPDATE servitize.api_key a SET last_used_at = now() WHERE a.id = k.id;
    END IF;
    RETURN QUERY SELECT k.id, k.tenant_id, t.slug, k.scopes, k.role FROM servitize.tenant t WHERE t.id = k.tenant_id;
END $$;

CREATE TABLE servitize.device (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    int NOT NULL REFERENCES servitize.tenant,
    equipment_id int REFERENCES servitize.equipment,
    client_id    text NOT NULL UNIQUE,
    username     text NOT NULL UNIQUE,
    secret_hash  bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    rotated_at   timestamptz,
    revoked_at   timestamptz
);
COMMENT ON COLUMN servitize.device.equipment_id IS 'The equipment it may publish for; NULL: a gateway, any of its tenant.';

CREATE TABLE servitize.audit_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id int REFERENCES servitize.tenant,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL,
    action    text NOT NULL,
    object    text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_tenant ON servitize.audit_log (tenant_id, id);

CREATE FUNCTION servitize.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.alarm_journal
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();
