-- Mapping profiles: how foreign topics and payloads become readings of a tenant. Part of the registry, so a change counts up its version.

CREATE TABLE servitize.mapping_profile (
    tenant_id  int NOT NULL REFERENCES servitize.tenant,
    name       text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    document   jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);

CREATE TRIGGER registry AFTER INSERT OR UPDATE OR DELETE ON servitize.mapping_profile
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_registry();

ALTER TABLE servitize.mapping_profile ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.mapping_profile TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
GRANT SELECT ON servitize.mapping_profile TO servitize_writer;
