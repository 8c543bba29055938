-- What the board of platform operations reads. Figures over all tenants are for who runs the platform: the only tenant there is, or one named here.

CREATE TABLE servitize.platform_operator (
    tenant_id int PRIMARY KEY REFERENCES servitize.tenant,
    since     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE servitize.platform_operator IS 'Tenants whose people see figures of the whole platform: no names and no values of others, only counts and ages.';
ALTER TABLE servitize.platform_operator ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.platform_operator TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
GRANT SELECT ON servitize.platform_operator TO servitize_writer;

CREATE FUNCTION servitize.operates_platform() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce(
        servitize.current_tenant() IS NOT NULL
        AND (NOT EXISTS (SELECT FROM servitize.tenant t WHERE t.id <> servitize.current_tenant())
             OR EXISTS (SELECT FROM servitize.platform_operator o WHERE o.tenant_id = servitize.current_tenant())), false);

-- platform_figures() for who runs the platform, nothing for others.
CREATE FUNCTION servitize.figures_for_operator() RETURNS TABLE (name text, labels jsonb, value float8)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF servitize.operates_platform() THEN
        RETURN QUERY SELECT f.name, f.labels, f.value FROM servitize.platform_figures() f;
    END IF;
END $$;

-- Refusals of the tenant's own messages, without what was in them.
CREATE VIEW servitize.dead_letter_summary WITH (security_barrier) AS
SELECT d.id, d.equipment_id, d.reason, d.detail, d.count, d.readings, d.first_received_at, d.last_received_at, d.replayed_at
  FROM servitize.dead_letter d
 WHERE d.tenant_id = (SELECT servitize.current_tenant());

-- Seconds between a point's newest reading and its arrival, and between that and the tenant's now, per machine.
CREATE VIEW servitize.machine_lag WITH (security_barrier) AS
SELECT m.equipment_id, l.ts AS newest, l.received_at
  FROM servitize.my_equipment m
 CROSS JOIN LATERAL (
       SELECT r.ts, r.received_at
         FROM servitize.point p JOIN servitize.latest_reading r ON r.point_id = p.id
        WHERE p.equipment_id = m.equipment_id AND p.kind = 'measured'
        ORDER BY r.ts DESC LIMIT 1) l;

GRANT SELECT ON servitize.dead_letter_summary, servitize.machine_lag TO servitize_api, servitize_board;
GRANT EXECUTE ON FUNCTION servitize.operates_platform, servitize.figures_for_operator TO servitize_api, servitize_board;
