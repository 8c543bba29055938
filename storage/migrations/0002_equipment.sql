-- Types, equipment, components, points, and who sees them. A version counter tells every process when to read again.

CREATE TABLE servitize.equipment_type (
    key          text PRIMARY KEY,
    tenant_id    int REFERENCES servitize.tenant,
    name         text NOT NULL,
    version      int NOT NULL,
    revision     int NOT NULL DEFAULT 1,
    document     jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN servitize.equipment_type.tenant_id IS 'Whose type it is; NULL: of the catalogue, everybody''s.';
COMMENT ON COLUMN servitize.equipment_type.revision IS 'Counts published documents; version is the number the author wrote in it.';

CREATE TABLE servitize.equipment_type_history (
    key          text NOT NULL REFERENCES servitize.equipment_type,
    revision     int NOT NULL,
    version      int NOT NULL,
    document     jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, revision)
);

CREATE TABLE servitize.equipment (
    id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       int NOT NULL REFERENCES servitize.tenant,
    site_id         int REFERENCES servitize.site,
    key             text NOT NULL CHECK (key <> '' AND key !~ '[/+#[:cntrl:]]'),
    name            text NOT NULL,
    serial          text,
    type_key        text REFERENCES servitize.equipment_type,
    status          text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'retired')),
    commissioned_at timestamptz,
    attributes      jsonb NOT NULL DEFAULT '{}',
    registered_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, key),
    CHECK (status <> 'approved' OR type_key IS NOT NULL)
);
COMMENT ON COLUMN servitize.equipment.key IS 'Stands in topics and URLs, so no slash and no MQTT wildcard.';
CREATE INDEX equipment_type_key ON servitize.equipment (type_key);

CREATE TABLE servitize.component (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    key          text NOT NULL,
    name         text NOT NULL,
    criticality  float8 NOT NULL DEFAULT 1,
    item_class   text NOT NULL DEFAULT '',
    position     int NOT NULL DEFAULT 0,
    UNIQUE (equipment_id, key)
);

CREATE TABLE servitize.point (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    component_id int REFERENCES servitize.component,
    key          text NOT NULL,
    unit         text NOT NULL DEFAULT '1',
    kind         text NOT NULL DEFAULT 'measured' CHECK (kind IN ('measured', 'derived')),
    description  text NOT NULL DEFAULT '',
    range_low    float8,
    range_high   float8,
    position     int NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (equipment_id, key)
);

CREATE TABLE servitize.equipment_grant (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    tenant_id    int NOT NULL REFERENCES servitize.tenant,
    rights       text NOT NULL CHECK (rights IN ('read', 'operate', 'manage')),
    valid_from   timestamptz NOT NULL DEFAULT now(),
    valid_until  timestamptz,
    granted_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (valid_until > valid_from)
);
CREATE INDEX equipment_grant_tenant ON servitize.equipment_grant (tenant_id, equipment_id);

-- Rights are a ladder: who may manage may operate, who may operate may read.
CREATE FUNCTION servitize.rights_level(rights text) RETURNS int
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE rights WHEN 'read' THEN 1 WHEN 'operate' THEN 2 WHEN 'manage' THEN 3 ELSE 0 END;

-- Who sees what, of all tenants: for the platform itself, no right on it for API and boards.
CREATE VIEW servitize.visible_equipment AS
SELECT e.tenant_id, e.id AS equipment_id, 'manage'::text AS rights, NULL::timestamptz AS until
  FROM servitize.equipment e
UNION ALL
SELECT g.tenant_id, g.equipment_id, g.rights, g.valid_until
  FROM servitize.equipment_grant g
 WHERE g.valid_from <= now() AND (g.valid_until IS NULL OR g.valid_until > now());

-- What the tenant asking sees, once per equipment, with its highest right.
CREATE VIEW servitize.my_equipment WITH (security_barrier) AS
SELECT v.equipment_id,
       (ARRAY['read', 'operate', 'manage'])[max(servitize.rights_level(v.rights))] AS rights
  FROM servitize.visible_equipment v
 WHERE v.tenant_id = (SELECT servitize.current_tenant())
 GROUP BY v.equipment_id;

CREATE FUNCTION servitize.may(equipment int, wanted text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (
        SELECT FROM servitize.my_equipment m
         WHERE m.equipment_id = equipment AND servitize.rights_level(m.rights) >= servitize.rights_level(wanted));

-- One counter for the whole registry, and per equipment the count at its last change, so that a reader fetches only what is new.
-- The row lock makes versions visible in their order.
CREATE TABLE servitize.registry_version (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL
);
INSERT INTO servitize.registry_version (version) VALUES (1);

CREATE TABLE servitize.equipment_version (
    equipment_id int PRIMARY KEY REFERENCES servitize.equipment,
    version      bigint NOT NULL
);
CREATE INDEX equipment_version_version ON servitize.equipment_version (version);

CREATE FUNCTION servitize.bump_registry() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE servitize.registry_version SET version = version + 1;
    RETURN NULL;
END $$;

CREATE FUNCTION servitize.bump_equipment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN
        RETURN NULL;
    END IF;
    UPDATE servitize.registry_version SET version = version + 1 RETURNING version INTO v;
    IF TG_TABLE_NAME = 'equipment' THEN
        INSERT INTO servitize.equipment_version AS x (equipment_id, version)
        SELECT (to_jsonb(c)->>'id')::int, v FROM changed c
        ON CONFLICT (equipment_id) DO UPDATE SET version = excluded.version;
    ELSE
        INSERT INTO servitize.equipment_version AS x (equipment_id, version)
        SELECT DISTINCT (to_jsonb(c)->>'equipment_id')::int, v FROM changed c
        ON CONFLICT (equipment_id) DO UPDATE SET version = excluded.version;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER registry AFTER INSERT OR UPDATE OR DELETE ON servitize.tenant
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_registry();
CREATE TRIGGER registry AFTER INSERT OR UPDATE OR DELETE ON servitize.equipment_type
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_registry();
CREATE TRIGGER registry_insert AFTER INSERT ON servitize.equipment
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_equipment();
CREATE TRIGGER registry_update AFTER UPDATE ON servitize.equipment
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_equipment();
CREATE TRIGGER registry_insert AFTER INSERT ON servitize.point
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_equipment();
CREATE TRIGGER registry_update AFTER UPDATE ON servitize.point
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_equipment();
