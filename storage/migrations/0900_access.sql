-- Who asks, grown: people by tokens of an issuer the tenant trusts, beside API keys; roles as data; requests that may be sent again safely.

-- What a role may do. services.api.access.ROLES; a test holds the two equal.
CREATE TABLE servitize.role_scope (
    role  text NOT NULL,
    scope text NOT NULL,
    PRIMARY KEY (role, scope)
);
INSERT INTO servitize.role_scope (role, scope) VALUES
    ('viewer', 'read'),
    ('operator', 'read'), ('operator', 'operate'),
    ('engineer', 'read'), ('engineer', 'operate'), ('engineer', 'engineer'),
    ('planner', 'read'), ('planner', 'plan'),
    ('approver', 'read'), ('approver', 'approve'),
    ('auditor', 'read'), ('auditor', 'audit'),
    ('admin', 'read'), ('admin', 'operate'), ('admin', 'engineer'), ('admin', 'plan'), ('admin', 'approve'), ('admin', 'manage'),
    ('admin', 'administer'), ('admin', 'audit');

ALTER TABLE servitize.api_key DROP CONSTRAINT api_key_role_check;
ALTER TABLE servitize.api_key ADD CONSTRAINT api_key_role_check
    CHECK (role IN ('viewer', 'operator', 'engineer', 'planner', 'approver', 'admin', 'auditor'));
-- A key's scopes are what counts, and stay what they were; its role had meant nothing so far and now says the least role that has them all.
UPDATE servitize.api_key SET role = CASE WHEN 'manage' = ANY (scopes) THEN 'admin' WHEN 'operate' = ANY (scopes) THEN 'operator' ELSE 'viewer' END;
-- The keys an installation made for itself could do everything there was, and still can.
UPDATE servitize.api_key SET scopes = ARRAY['read', 'operate', 'engineer', 'plan', 'approve', 'manage', 'administer', 'audit']
 WHERE name = 'made at start, kept in the data directory' AND scopes @> ARRAY['read', 'operate', 'manage'];

-- Whose tokens a tenant takes. Two tenants may name the same issuer and audience; then a request says which of them it means.
CREATE TABLE servitize.identity_issuer (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     int NOT NULL DEFAULT servitize.current_tenant() REFERENCES servitize.tenant,
    name          text NOT NULL,
    issuer        text NOT NULL CHECK (length(issuer) <= 500),
    audience      text NOT NULL CHECK (audience <> '' AND length(audience) <= 500),
    jwks_uri      text CHECK (length(jwks_uri) <= 500),
    algorithms    text[] NOT NULL DEFAULT ARRAY['RS256', 'ES256']
                  CHECK (algorithms <@ ARRAY['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
                         AND cardinality(algorithms) > 0),
    role_claim    text CHECK (length(role_claim) <= 200),
    role_map      jsonb NOT NULL DEFAULT '{}',
    default_role  text CHECK (default_role IN ('viewer', 'operator', 'engineer', 'planner', 'approver', 'admin', 'auditor')),
    enabled       boolean NOT NULL DEFAULT true,
    revision      int NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, issuer, audience)
);
COMMENT ON COLUMN servitize.identity_issuer.jwks_uri IS 'NULL: what the issuer''s discovery document says.';
COMMENT ON COLUMN servitize.identity_issuer.role_claim IS 'Where a token says what its bearer is; NULL: the user''s row says it.';
COMMENT ON COLUMN servitize.identity_issuer.role_map IS 'Value of the claim to role; {} takes names of roles as they are.';
CREATE INDEX identity_issuer_issuer ON servitize.identity_issuer (issuer);

CREATE TABLE servitize.app_user (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    int NOT NULL DEFAULT servitize.current_tenant() REFERENCES servitize.tenant,
    issuer_id    int NOT NULL REFERENCES servitize.identity_issuer,
    subject      text NOT NULL CHECK (subject <> '' AND length(subject) <= 300),
    name         text,
    email        text,
    role         text CHECK (role IN ('viewer', 'operator', 'engineer', 'planner', 'approver', 'admin', 'auditor')),
    revision     int NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz,
    disabled_at  timestamptz,
    UNIQUE (issuer_id, subject)
);
CREATE INDEX app_user_tenant ON servitize.app_user (tenant_id, id);
COMMENT ON COLUMN servitize.app_user.role IS 'Given by an administrator; NULL: what the token says, else the issuer''s default.';

-- A request that was sent with an Idempotency-Key and its answer, committed with what it did. The answer is sealed with the key itself, of which only
-- a hash is kept: it may hold a secret that is shown once.
CREATE TABLE servitize.request_memory (
    tenant_id   int NOT NULL DEFAULT servitize.current_tenant() REFERENCES servitize.tenant,
    actor       text NOT NULL,
    key_hash    bytea NOT NULL,
    fingerprint bytea NOT NULL,
    status      int,
    answer      bytea,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, actor, key_hash)
);
CREATE INDEX request_memory_age ON servitize.request_memory (created_at);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['role_scope', 'identity_issuer', 'app_user', 'request_memory']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['identity_issuer', 'app_user', 'request_memory']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I TO servitize_api USING (tenant_id = (SELECT servitize.current_tenant()))'
                       ' WITH CHECK (tenant_id = (SELECT servitize.current_tenant()))', name);
    END LOOP;
END $$;
CREATE POLICY everybody ON servitize.role_scope FOR SELECT TO servitize_api USING (true);
GRANT SELECT ON servitize.role_scope, servitize.identity_issuer, servitize.app_user, servitize.request_memory TO servitize_api;
GRANT INSERT (name, issuer, audience, jwks_uri, algorithms, role_claim, role_map, default_role, enabled),
    UPDATE (name, issuer, audience, jwks_uri, algorithms, role_claim, role_map, default_role, enabled, revision) ON servitize.identity_issuer TO servitize_api;
GRANT INSERT (issuer_id, subject, name, email, role), UPDATE (name, email, role, disabled_at, revision) ON servitize.app_user TO servitize_api;
GRANT INSERT (actor, key_hash, fingerprint), UPDATE (status, answer) ON servitize.request_memory TO servitize_api;
GRANT DELETE ON servitize.request_memory TO servitize_writer;

-- A user belongs to an issuer of its own tenant; foreign keys look past row security.
CREATE FUNCTION servitize.user_fits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM servitize.identity_issuer i WHERE i.id = NEW.issuer_id AND i.tenant_id = NEW.tenant_id) THEN
        RAISE EXCEPTION 'there is no such issuer' USING ERRCODE = 'SV404';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fits BEFORE INSERT OR UPDATE OF issuer_id, tenant_id ON servitize.app_user
    FOR EACH ROW EXECUTE FUNCTION servitize.user_fits();

-- Before a tenant is known nothing is visible, so this looks for the API: who takes tokens of this issuer for one of these audiences.
CREATE FUNCTION servitize.issuers_for(token_issuer text, audiences text[])
    RETURNS TABLE (id int, tenant_id int, tenant text, audience text, jwks_uri text, algorithms text[], role_claim text, role_map jsonb, default_role text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.id, i.tenant_id, t.slug, i.audience, i.jwks_uri, i.algorithms, i.role_claim, i.role_map, i.default_role
      FROM servitize.identity_issuer i JOIN servitize.tenant t ON t.id = i.tenant_id
     WHERE i.issuer = token_issuer AND i.audience = ANY (audiences) AND i.enabled
     ORDER BY i.id
$$;

-- The bearer of a token that was found good: known from now on. No row where the user or the issuer has been switched off meanwhile.
CREATE FUNCTION servitize.enter_user(of_issuer int, who text, called text, mail text)
    RETURNS TABLE (user_id bigint, tenant_id int, role text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    u servitize.app_user;
BEGIN
    IF NOT EXISTS (SELECT FROM servitize.identity_issuer i WHERE i.id = of_issuer AND i.enabled) THEN
        RETURN;
    END IF;
    SELECT * INTO u FROM servitize.app_user x WHERE x.issuer_id = of_issuer AND x.subject = who;
    IF NOT FOUND THEN
        INSERT INTO servitize.app_user (tenant_id, issuer_id, subject, name, email, last_seen_at)
        SELECT i.tenant_id, i.id, who, called, mail, now() FROM servitize.identity_issuer i WHERE i.id = of_issuer
        ON CONFLICT (issuer_id, subject) DO UPDATE SET last_seen_at = now()
        RETURNING * INTO u;
    ELSIF u.disabled_at IS NULL AND (u.last_seen_at IS NULL OR u.last_seen_at < now() - interval '1 minute') THEN
        -- once a minute, as with keys; what the issuer says of name and mail is newer
        UPDATE servitize.app_user x SET last_seen_at = now(), name = coalesce(called, x.name), email = coalesce(mail, x.email) WHERE x.id = u.id;
    END IF;
    IF u.disabled_at IS NULL THEN
        RETURN QUERY SELECT u.id, u.tenant_id, u.role;
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION servitize.issuers_for, servitize.enter_user TO servitize_api;

-- The last journal entry of an alarm, which is the version of the alarm, with the alarm locked until the transaction ends.
CREATE FUNCTION servitize.hold_alarm(wanted bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a servitize.alarm;
BEGIN
    SELECT * INTO a FROM servitize.alarm x WHERE x.id = wanted AND servitize.may(x.equipment_id, 'read') FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such alarm, or it is not yours to see' USING ERRCODE = 'SV404';
    END IF;
    RETURN (SELECT max(j.id) FROM servitize.alarm_journal j WHERE j.alarm_id = wanted);
END $$;

-- The registry's version of an equipment, with the equipment locked until the transaction ends.
CREATE FUNCTION servitize.hold_equipment(wanted int) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM servitize.equipment e WHERE e.id = wanted AND servitize.may(e.id, 'read') FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such equipment, or it is not yours to see' USING ERRCODE = 'SV404';
    END IF;
    RETURN (SELECT v.version FROM servitize.equipment_version v WHERE v.equipment_id = wanted);
END $$;

-- The same without the lock, for who reads.
CREATE FUNCTION servitize.version_of_equipment(wanted int) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT v.version FROM servitize.equipment_version v WHERE v.equipment_id = wanted AND servitize.may(wanted, 'read'));

GRANT EXECUTE ON FUNCTION servitize.hold_alarm, servitize.hold_equipment, servitize.version_of_equipment TO servitize_api;
