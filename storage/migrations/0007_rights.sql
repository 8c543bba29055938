-- Who may do what, in one place. Rows: row-level security on every relational table, forced on the owner too. Readings carry none
-- (an engine with columns for old chunks refuses it): API and boards have no right on them and read by views and functions that filter themselves.
-- A test lists every right on every object against the list it expects.

GRANT USAGE ON SCHEMA servitize TO servitize_writer, servitize_api, servitize_board;

-- Owner and writer are the platform itself and see all rows.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c
                 WHERE c.relnamespace = 'servitize'::regnamespace AND c.relkind = 'r'
                   AND c.relname NOT LIKE 'reading%' AND c.relname NOT IN ('latest_reading', 'migration')
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON servitize.reading, servitize.latest_reading TO servitize_writer;
GRANT SELECT ON servitize.migration, servitize.partition_alarm, servitize.visible_equipment TO servitize_writer;
GRANT INSERT, UPDATE ON servitize.stream_position, servitize.stream_snapshot, servitize.conservation, servitize.state_change,
    servitize.dead_letter, servitize.equipment, servitize.component, servitize.point TO servitize_writer;
GRANT INSERT, DELETE ON servitize.stream_journal TO servitize_writer;
GRANT INSERT ON servitize.event, servitize.audit_log, servitize.outbox TO servitize_writer;
GRANT DELETE ON servitize.outbox, servitize.dead_letter TO servitize_writer;
GRANT EXECUTE ON FUNCTION servitize.ensure_partitions, servitize.maintain_partitions, servitize.repair_latest,
    servitize.reading_partitions, servitize.record_health, servitize.apply_transitions, servitize.expire_shelves, servitize.sequence_outbox,
    servitize.rights_level, servitize.current_tenant, servitize.from_us, servitize.to_us TO servitize_writer;

-- What a tenant sees. API and boards alike; the tenant comes from current_tenant().
CREATE POLICY mine ON servitize.tenant FOR SELECT TO servitize_api, servitize_board
    USING (id = (SELECT servitize.current_tenant()));
CREATE POLICY mine ON servitize.site FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id = (SELECT servitize.current_tenant()));
CREATE POLICY mine ON servitize.equipment_type FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id IS NULL OR tenant_id = (SELECT servitize.current_tenant())
           OR key IN (SELECT e.type_key FROM servitize.equipment e));
CREATE POLICY mine ON servitize.equipment FOR SELECT TO servitize_api, servitize_board
    USING (id IN (SELECT m.equipment_id FROM servitize.my_equipment m));
CREATE POLICY mine ON servitize.equipment_grant FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id = (SELECT servitize.current_tenant())
           OR equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m WHERE m.rights = 'manage'));
CREATE POLICY mine ON servitize.dead_letter FOR SELECT TO servitize_api
    USING (tenant_id = (SELECT servitize.current_tenant()));
CREATE POLICY mine ON servitize.outbox FOR SELECT TO servitize_api
    USING (seq IS NOT NULL AND CASE WHEN equipment_id IS NULL THEN tenant_id = (SELECT servitize.current_tenant())
                                    ELSE equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m) END);
CREATE POLICY mine ON servitize.api_key TO servitize_api
    USING (tenant_id = (SELECT servitize.current_tenant())) WITH CHECK (tenant_id = (SELECT servitize.current_tenant()));
CREATE POLICY mine ON servitize.device FOR SELECT TO servitize_api
    USING (tenant_id = (SELECT servitize.current_tenant()));
CREATE POLICY mine ON servitize.audit_log TO servitize_api
    USING (tenant_id = (SELECT servitize.current_tenant())) WITH CHECK (tenant_id = (SELECT servitize.current_tenant()));
CREATE POLICY everybody ON servitize.alarm_rule FOR SELECT TO servitize_api, servitize_board USING (true);
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['component', 'point', 'event', 'state_change', 'condition_transition', 'alarm', 'alarm_journal',
                                'health', 'health_history']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
    END LOOP;
END $$;

GRANT SELECT ON servitize.tenant, servitize.site, servitize.equipment_type, servitize.equipment, servitize.equipment_grant,
    servitize.component, servitize.point, servitize.event, servitize.state_change, servitize.condition_transition, servitize.alarm,
    servitize.alarm_journal, servitize.alarm_rule, servitize.health, servitize.health_history, servitize.my_equipment,
    servitize.reading_visible, servitize.latest_visible TO servitize_api, servitize_board;
GRANT EXECUTE ON FUNCTION servitize.from_us, servitize.to_us, servitize.current_tenant, servitize.rights_level, servitize.may,
    servitize.priority_rank, servitize.point_visible, servitize.readings, servitize.readings_thinned, servitize.reading_gaps
    TO servitize_api, servitize_board;

GRANT SELECT ON servitize.dead_letter, servitize.outbox, servitize.device, servitize.audit_log TO servitize_api;
GRANT INSERT ON servitize.audit_log TO servitize_api;
-- never the hash; a key is made, renamed and revoked, its scopes stay what they were
GRANT SELECT (id, tenant_id, name, prefix, scopes, role, created_at, expires_at, revoked_at, last_used_at),
    INSERT (tenant_id, name, prefix, hash, scopes, role, expires_at), UPDATE (name, revoked_at) ON servitize.api_key TO servitize_api;
GRANT EXECUTE ON FUNCTION servitize.authenticate, servitize.operate_alarm TO servitize_api;
