-- What the API asks of the database beyond reading rows: registration within a tenant, requests to replay, and figures of the platform.
-- Each function looks at current_tenant() itself. Errors: SV400 makes no sense, SV403 seen but not allowed, SV404 not there or not visible, SV409
-- taken or not allowed now.

-- Any API process may number the outbox and run shelf timers: both say nothing of any tenant.
GRANT EXECUTE ON FUNCTION servitize.sequence_outbox, servitize.expire_shelves TO servitize_api;

-- Whose a visible equipment is: of other tenants a name is shown only where they share something.
CREATE VIEW servitize.equipment_owner WITH (security_barrier) AS
SELECT e.id AS equipment_id, t.slug, t.id = (SELECT servitize.current_tenant()) AS mine
  FROM servitize.equipment e
  JOIN servitize.my_equipment m ON m.equipment_id = e.id
  JOIN servitize.tenant t ON t.id = e.tenant_id;

-- Grants that the tenant asking gave or got.
CREATE VIEW servitize.grant_visible WITH (security_barrier) AS
SELECT g.id, g.equipment_id, e.key AS equipment, owner.slug AS owner, holder.slug AS tenant, g.rights, g.valid_from, g.valid_until,
       e.tenant_id = (SELECT servitize.current_tenant()) AS given
  FROM servitize.equipment_grant g
  JOIN servitize.equipment e ON e.id = g.equipment_id
  JOIN servitize.tenant owner ON owner.id = e.tenant_id
  JOIN servitize.tenant holder ON holder.id = g.tenant_id
 WHERE (SELECT servitize.current_tenant()) IN (g.tenant_id, e.tenant_id);
GRANT SELECT ON servitize.equipment_owner, servitize.grant_visible TO servitize_api, servitize_board;

-- Raises where the tenant asking may not manage the equipment; "own" asks for its own, not for one granted.
CREATE FUNCTION servitize.require_manage(equipment int, own boolean) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such equipment' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'manage') OR (own AND NOT EXISTS (
        SELECT FROM servitize.equipment e WHERE e.id = equipment AND e.tenant_id = servitize.current_tenant())) THEN
        RAISE EXCEPTION 'your right to this equipment does not include that' USING ERRCODE = 'SV403';
    END IF;
END $$;

-- The tenant's site of that key.
CREATE FUNCTION servitize.my_site(site_key text) RETURNS int
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_id int;
BEGIN
    IF site_key IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT s.id INTO found_id FROM servitize.site s WHERE s.tenant_id = servitize.current_tenant() AND s.key = site_key;
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'there is no site %', quote_literal(site_key) USING ERRCODE = 'SV400', HINT = 'GET /v1/sites lists them';
    END IF;
    RETURN found_id;
END $$;

-- The components and points of an equipment as its type has them (arrays of objects with the columns' names); what is there is brought up to
-- date, nothing is removed.
CREATE FUNCTION servitize.fit_equipment(equipment int, components jsonb, points jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM servitize.require_manage(equipment, false);
    INSERT INTO servitize.component AS k (equipment_id, key, name, criticality, item_class, position)
    SELECT equipment, c.key, c.name, c.criticality, c.item_class, c.position
      FROM jsonb_to_recordset(components) AS c (key text, name text, criticality float8, item_class text, position int)
    ON CONFLICT (equipment_id, key) DO UPDATE
       SET name = excluded.name, criticality = excluded.criticality, item_class = excluded.item_class, position = excluded.position;
    INSERT INTO servitize.point AS p
        (equipment_id, component_id, key, unit, kind, description, range_low, range_high, position)
    SELECT equipment, k.id, d.key, d.unit, d.kind, d.description, d.range_low, d.range_high, d.position
      FROM jsonb_to_recordset(points) AS d
           (key text, component text, unit text, kind text, description text, range_low float8, range_high float8, position int)
      LEFT JOIN servitize.component k ON k.equipment_id = equipment AND k.key = d.component
    ON CONFLICT (equipment_id, key) DO UPDATE
       SET component_id = excluded.component_id, kind = excluded.kind, description = excluded.description,
           range_low = excluded.range_low, range_high = excluded.range_high, position = excluded.position,
           -- readings taken in one unit must not be read in another; "1" is a unit nobody has given yet
           unit = CASE WHEN p.unit = '1' OR NOT EXISTS (SELECT FROM servitize.latest_reading l WHERE l.point_id = p.id)
                       THEN excluded.unit ELSE p.unit END;
END $$;

CREATE FUNCTION servitize.register_equipment(
    new_key text, new_name text, new_serial text, new_type text, new_site text, OUT id int)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant int := servitize.current_tenant();
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    IF NOT EXISTS (SELECT FROM servitize.equipment_type t WHERE t.key = new_type AND coalesce(t.tenant_id, tenant) = tenant) THEN
        RAISE EXCEPTION 'there is no type %', quote_literal(new_type) USING ERRCODE = 'SV400', HINT = 'GET /v1/types lists them';
    END IF;
    INSERT INTO servitize.equipment (tenant_id, key, name, serial, type_key, site_id)
    VALUES (tenant, new_key, coalesce(new_name, new_key), new_serial, new_type, servitize.my_site(new_site))
    ON CONFLICT (tenant_id, key) DO NOTHING
    RETURNING equipment.id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'there is equipment % already', quote_literal(new_key) USING ERRCODE = 'SV409', HINT = 'choose another key';
    END IF;
END $$;

-- What is NULL stays. An equipment without a type cannot be approved, and a type once given stays, since points and readings hang on it.
CREATE FUNCTION servitize.change_equipment(
    equipment int, new_name text, new_serial text, new_site text, new_type text, new_status text, OUT type_key text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    e servitize.equipment;
BEGIN
    PERFORM servitize.require_manage(equipment, new_site IS NOT NULL);
    SELECT * INTO e FROM servitize.equipment x WHERE x.id = equipment FOR UPDATE;
    IF new_type IS NOT NULL THEN
        IF e.type_key IS NOT NULL AND e.type_key <> new_type THEN
            RAISE EXCEPTION 'it is of type % and stays so', quote_literal(e.type_key)
                USING ERRCODE = 'SV409', HINT = 'retire it and register another';
        END IF;
        IF NOT EXISTS (SELECT FROM servitize.equipment_type t
                        WHERE t.key = new_type AND coalesce(t.tenant_id, e.tenant_id) = e.tenant_id) THEN
            RAISE EXCEPTION 'there is no type %', quote_literal(new_type) USING ERRCODE = 'SV400', HINT = 'GET /v1/types lists them';
        END IF;
    END IF;
    IF new_status = 'approved' AND coalesce(new_type, e.type_key) IS NULL THEN
        RAISE EXCEPTION 'it has no type yet' USING ERRCODE = 'SV409', HINT = 'give "type" together with the status';
    END IF;
    UPDATE servitize.equipment x
       SET name = coalesce(new_name, x.name),
           serial = coalesce(new_serial, x.serial),
           site_id = coalesce(servitize.my_site(new_site), x.site_id),
           type_key = coalesce(x.type_key, new_type),
           status = coalesce(new_status, x.status)
     WHERE x.id = equipment
    RETURNING x.type_key INTO type_key;
END $$;

CREATE FUNCTION servitize.give_grant(equipment int, holder text, given text, until timestamptz, OUT id int)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    to_tenant int;
BEGIN
    PERFORM servitize.require_manage(equipment, true);
    SELECT t.id INTO to_tenant FROM servitize.tenant t WHERE t.slug = holder;
    IF to_tenant IS NULL OR to_tenant = servitize.current_tenant() THEN
        RAISE EXCEPTION 'there is no other organisation %', quote_literal(holder) USING ERRCODE = 'SV400';
    END IF;
    IF until <= now() THEN
        RAISE EXCEPTION 'the grant would be over already' USING ERRCODE = 'SV400';
    END IF;
    INSERT INTO servitize.equipment_grant (equipment_id, tenant_id, rights, valid_until)
    VALUES (equipment, to_tenant, given, until) RETURNING equipment_grant.id INTO id;
END $$;

-- From now on it gives nothing; the row stays as a record. Its giver may end it, and its holder may do without.
CREATE FUNCTION servitize.end_grant(grant_id int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM servitize.grant_visible g WHERE g.id = grant_id) THEN
        RAISE EXCEPTION 'there is no such grant' USING ERRCODE = 'SV404';
    END IF;
    UPDATE servitize.equipment_grant g
       SET valid_until = least(g.valid_until, greatest(clock_timestamp(), g.valid_from + interval '1 microsecond'))
     WHERE g.id = grant_id;
END $$;

-- Requests to send a dead letter through the broker again. The API has no broker; who has one takes them.
CREATE TABLE servitize.replay_request (
    dead_letter_id bigint PRIMARY KEY REFERENCES servitize.dead_letter ON DELETE CASCADE,
    requested_at   timestamptz NOT NULL DEFAULT now(),
    requested_by   text NOT NULL
);
ALTER TABLE servitize.replay_request ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.replay_request TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
CREATE POLICY mine ON servitize.replay_request FOR SELECT TO servitize_api
    USING (dead_letter_id IN (SELECT d.id FROM servitize.dead_letter d));
GRANT SELECT ON servitize.replay_request TO servitize_api, servitize_writer;

CREATE FUNCTION servitize.request_replay(letter bigint, who text) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d       servitize.dead_letter;
    asked   timestamptz;
BEGIN
    SELECT * INTO d FROM servitize.dead_letter x WHERE x.id = letter AND x.tenant_id = servitize.current_tenant();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such dead letter' USING ERRCODE = 'SV404';
    END IF;
    IF d.payload_bytes <> length(d.payload) THEN
        RAISE EXCEPTION 'only the beginning of this payload was kept' USING ERRCODE = 'SV409', HINT = 'the device must send it again';
    END IF;
    INSERT INTO servitize.replay_request AS r (dead_letter_id, requested_by) VALUES (letter, who)
    ON CONFLICT (dead_letter_id) DO UPDATE SET requested_by = r.requested_by
    RETURNING r.requested_at INTO asked;
    PERFORM pg_notify('servitize_replay', letter::text);
    RETURN asked;
END $$;

-- For who holds the broker (listens on channel servitize_replay): publish what this returns, then commit; a crash between the two
-- publishes again, and a reading that comes twice is stored once.
CREATE FUNCTION servitize.take_replays(at_most int)
    RETURNS TABLE (dead_letter_id bigint, topic text, payload bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
        WITH taken AS (
            DELETE FROM servitize.replay_request r
             WHERE r.dead_letter_id IN (SELECT q.dead_letter_id FROM servitize.replay_request q
                                         ORDER BY q.requested_at LIMIT at_most FOR UPDATE SKIP LOCKED)
            RETURNING r.dead_letter_id)
        UPDATE servitize.dead_letter d SET replayed_at = now() FROM taken t WHERE d.id = t.dead_letter_id
        RETURNING d.id, d.topic, d.payload;
END $$;
GRANT EXECUTE ON FUNCTION servitize.take_replays TO servitize_writer;

-- The last number given, and the oldest still kept (NULL: none).
CREATE FUNCTION servitize.outbox_bounds(OUT head bigint, OUT oldest bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT h.seq, (SELECT min(o.seq) FROM servitize.outbox o) FROM servitize.outbox_head h
$$;

-- Seconds since a stream's state was last stored. Ticks flow every second and a snapshot is taken every few, so this is the age of the whole
-- way from broker to database; NULL: nothing ever came.
CREATE FUNCTION servitize.commit_age() RETURNS float8
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT extract(epoch FROM clock_timestamp() - max(s.taken_at))::float8 FROM servitize.stream_snapshot s);

-- Figures over all tenants, for the platform's own monitoring. Names and meaning of the counters: docs/reference/conservation.md.
CREATE FUNCTION servitize.platform_figures()
    RETURNS TABLE (name text, help text, type text, labels jsonb, value float8)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'servitize_conservation', 'Readings and messages per stream by what became of them', 'counter',
           jsonb_build_object('stream', c.stream, 'name', c.name), c.count::float8
      FROM servitize.conservation c
    UNION ALL
    SELECT 'servitize_dead_letter_readings', 'Readings refused, by reason', 'gauge',
           jsonb_build_object('reason', d.reason), sum(d.readings)::float8
      FROM servitize.dead_letter d GROUP BY d.reason
    UNION ALL
    SELECT 'servitize_stream_next_offset', 'First record of a stream not yet stored', 'counter',
           jsonb_build_object('stream', p.stream), p.next_offset::float8
      FROM servitize.stream_position p
    UNION ALL
    SELECT 'servitize_stream_snapshot_age_seconds', 'Seconds since the state of a stream was last stored', 'gauge',
           jsonb_build_object('stream', s.stream), extract(epoch FROM clock_timestamp() - s.taken_at)::float8
      FROM servitize.stream_snapshot s
    UNION ALL
    SELECT 'servitize_outbox_numbered', 'Events numbered', 'counter', NULL, h.seq::float8 FROM servitize.outbox_head h
    UNION ALL
    SELECT 'servitize_outbox_pending', 'Events committed and not yet numbered', 'gauge', NULL, count(*)::float8
      FROM servitize.outbox o WHERE o.seq IS NULL
    UNION ALL
    SELECT 'servitize_replay_requests', 'Dead letters waiting to be sent again', 'gauge', NULL, count(*)::float8
      FROM servitize.replay_request r
    UNION ALL
    SELECT 'servitize_alarms', 'Alarms by state and priority', 'gauge',
           jsonb_build_object('state', a.state, 'priority', a.priority), count(*)::float8
      FROM servitize.alarm a GROUP BY a.state, a.priority
$$;

GRANT EXECUTE ON FUNCTION servitize.fit_equipment, servitize.register_equipment, servitize.change_equipment, servitize.give_grant,
    servitize.end_grant, servitize.request_replay, servitize.outbox_bounds, servitize.commit_age, servitize.platform_figures
    TO servitize_api;
