-- What retention deletes, and how: pieces (partitions, chunks) of readings and rollups, rows of everything else. One step per transaction;
-- a job goes through retention_pieces() and retention_rows() and calls expire_piece / expire_rows for each.

-- Per tenant and kind: the policy that counts, and the moment before which is deleted (NULL: nothing). Whole UTC days. A tenant whose
-- clock is its publisher's ages by its own newest reading. Nothing passes a hold, raw does not pass what is not yet rolled up,
-- and a coarser rollup does not pass the finer one.
CREATE FUNCTION servitize.retention_bounds() RETURNS TABLE (tenant_id int, kind text, keep interval, before timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE clock AS MATERIALIZED (
        SELECT t.id AS tenant_id,
               CASE WHEN t.publisher_clock THEN coalesce((
                        SELECT max(l.ts) FROM servitize.latest_reading l JOIN servitize.point p ON p.id = l.point_id
                          JOIN servitize.equipment e ON e.id = p.equipment_id WHERE e.tenant_id = t.id), now())
                    ELSE now() END AS moment,
               (SELECT min(h.since) FROM servitize.retention_hold h WHERE h.tenant_id = t.id AND h.released_at IS NULL) AS held
          FROM servitize.tenant t),
    own AS MATERIALIZED (
        SELECT c.tenant_id, k.kind, k.finer, p.keep,
               CASE WHEN p.keep IS NOT NULL THEN least(
                    c.moment - p.keep, c.held, CASE WHEN k.kind = 'raw' THEN servitize.rolled_up_to(c.tenant_id) END) END AS before
          FROM clock c CROSS JOIN servitize.retention_kinds() k
          LEFT JOIN LATERAL (
               SELECT r.keep FROM servitize.retention_policy r
                WHERE r.kind = k.kind AND (r.tenant_id = c.tenant_id OR r.tenant_id IS NULL) ORDER BY r.tenant_id NULLS LAST LIMIT 1) p ON true),
    bound AS (
        SELECT o.tenant_id, o.kind, o.keep, o.before FROM own o WHERE o.finer IS NULL
        UNION ALL
        SELECT o.tenant_id, o.kind, o.keep, CASE WHEN b.before IS NOT NULL AND o.before IS NOT NULL THEN least(o.before, b.before) END
          FROM bound b JOIN own o ON o.tenant_id = b.tenant_id AND o.finer = b.kind)
    SELECT b.tenant_id, b.kind, b.keep, date_trunc('day', b.before, 'UTC') FROM bound b
$$;

-- Sets (or with forget: takes back) a policy. Refused (SV400) where a finer kind would be kept for longer than a coarser one.
CREATE FUNCTION servitize.set_retention(tenant int, of_kind text, keep_for interval, forget boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrong record;
BEGIN
    IF NOT EXISTS (SELECT FROM servitize.retention_kinds() k WHERE k.kind = of_kind) THEN
        RAISE EXCEPTION 'nothing of kind % is kept', quote_literal(of_kind) USING ERRCODE = 'SV400',
            HINT = 'kinds: ' || (SELECT string_agg(k.kind, ', ') FROM servitize.retention_kinds() k);
    END IF;
    IF keep_for < interval '1 day' THEN
        RAISE EXCEPTION 'nothing is kept for less than a day' USING ERRCODE = 'SV400';
    END IF;
    IF forget THEN
        DELETE FROM servitize.retention_policy p WHERE p.tenant_id IS NOT DISTINCT FROM tenant AND p.kind = of_kind;
    ELSE
        INSERT INTO servitize.retention_policy (tenant_id, kind, keep) VALUES (tenant, of_kind, keep_for)
        ON CONFLICT (tenant_id, kind) DO UPDATE SET keep = excluded.keep, changed_at = now();
    END IF;
    SELECT b.kind, k.finer INTO wrong
      FROM servitize.retention_bounds() b
      JOIN servitize.retention_kinds() k USING (kind)
      JOIN servitize.retention_bounds() f ON f.tenant_id = b.tenant_id AND f.kind = k.finer
     WHERE (tenant IS NULL OR b.tenant_id = tenant) AND b.keep IS NOT NULL AND (f.keep IS NULL OR f.keep > b.keep) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% would be kept for longer than %, which is made of it', wrong.finer, wrong.kind USING ERRCODE = 'SV400',
            HINT = format('keep %s for at most as long, or %s for longer', wrong.finer, wrong.kind);
    END IF;
    INSERT INTO servitize.audit_log (tenant_id, actor, action, object, detail)
    VALUES (tenant, session_user, 'retention.set', of_kind, jsonb_build_object('keep', keep_for, 'forgotten', forget));
END $$;

-- Pieces of readings and rollups of which something is to go: whole where no tenant needs any of it any more. Finest kinds first.
CREATE FUNCTION servitize.retention_pieces() RETURNS TABLE (kind text, piece text, lower timestamptz, upper timestamptz, whole boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH bound AS MATERIALIZED (
        SELECT b.kind, min(coalesce(b.before, '-infinity')) AS all_before, max(b.before) AS some_before
          FROM servitize.retention_bounds() b
         WHERE b.kind IN ('raw', 'minute', 'hour', 'day') AND b.tenant_id IN (SELECT e.tenant_id FROM servitize.equipment e)
         GROUP BY b.kind)
    SELECT b.kind, p.name, p.lower, p.upper, b.all_before >= p.upper
      FROM bound b CROSS JOIN LATERAL servitize.pieces_of(b.kind) p
     WHERE b.some_before > p.lower
     ORDER BY array_position(ARRAY['raw', 'minute', 'hour', 'day'], b.kind), p.lower
$$;

-- How many rows each tenant would lose of a piece; changes nothing.
CREATE FUNCTION servitize.expiring_of_piece(of_kind text, piece text) RETURNS TABLE (tenant_id int, before timestamptz, rows bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.tenant_id, b.before, servitize.count_in_piece(of_kind, piece, b.tenant_id, b.before)
      FROM servitize.retention_bounds() b
     WHERE b.kind = of_kind AND b.before IS NOT NULL AND b.tenant_id IN (SELECT e.tenant_id FROM servitize.equipment e)
$$;

CREATE FUNCTION servitize.count_expired(of_kind text, tenant int, what text, gone bigint) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO servitize.conservation AS c (stream, name, count)
    SELECT 'retention', 'retention.' || what, gone WHERE gone > 0
    ON CONFLICT (stream, name) DO UPDATE SET count = c.count + excluded.count;
    INSERT INTO servitize.audit_log (tenant_id, actor, action, object, detail)
    SELECT tenant, 'retention', 'retention.applied', of_kind, jsonb_build_object('rows', gone, 'what', what) WHERE gone > 0
$$;

-- Deletes what is due of one piece; how many rows. The horizon moves first, in the same transaction: from then on nothing behind it is made
-- anew of raw, and readers take the finest that is left.
CREATE FUNCTION servitize.expire_piece(of_kind text, piece text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    one  record;
    gone bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('servitize.roll_up'));
    SELECT * INTO part FROM servitize.retention_pieces() p WHERE p.kind = of_kind AND p.piece = expire_piece.piece;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    FOR one IN SELECT b.tenant_id, b.before, m.before AS minutes_before
                 FROM servitize.retention_bounds() b
                 LEFT JOIN servitize.retention_bounds() m ON m.tenant_id = b.tenant_id AND m.kind = 'minute'
                WHERE b.kind = of_kind AND b.before > part.lower AND b.tenant_id IN (SELECT e.tenant_id FROM servitize.equipment e)
    LOOP
        IF of_kind = 'raw' AND isfinite(part.lower) THEN
            PERFORM servitize.seal_minutes(one.tenant_id, greatest(part.lower, coalesce(one.minutes_before, '-infinity')),
                                           least(part.upper, one.before));
        END IF;
        INSERT INTO servitize.retention_horizon AS z (tenant_id, kind, before) VALUES (one.tenant_id, of_kind, one.before)
        ON CONFLICT (tenant_id, kind) DO UPDATE SET before = greatest(z.before, excluded.before);
        IF NOT part.whole THEN
            gone := gone + servitize.delete_from_piece(of_kind, piece, one.tenant_id, one.before);
        END IF;
    END LOOP;
    IF part.whole THEN
        gone := servitize.count_in_piece(of_kind, piece, NULL, 'infinity');
        PERFORM servitize.drop_piece(of_kind, piece);
    END IF;
    PERFORM servitize.count_expired(of_kind, NULL, of_kind, gone);
    RETURN gone;
END $$;

-- Tables that retention deletes rows of. "last" tells, of rows that are all one thing's history, the one that is its present and stays.
CREATE FUNCTION servitize.retention_rows() RETURNS TABLE (tenant_id int, kind text, before timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.tenant_id, b.kind, b.before FROM servitize.retention_bounds() b
     WHERE b.kind NOT IN ('raw', 'minute', 'hour', 'day') AND b.before IS NOT NULL
    UNION ALL
    SELECT NULL, p.kind, date_trunc('day', now() - p.keep, 'UTC') FROM servitize.retention_policy p
     WHERE p.tenant_id IS NULL AND p.kind IN ('dead_letter', 'audit') AND p.keep IS NOT NULL
$$;

-- Rows of one tenant (NULL: of none, as dead letters on topics of nobody) and kind that are due; with dry only counts them.
CREATE FUNCTION servitize.expire_rows(tenant int, of_kind text, dry boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due  timestamptz;
    gone bigint := 0;
    part bigint := 0;
    mine int[] := ARRAY(SELECT e.id FROM servitize.equipment e WHERE e.tenant_id = tenant);
BEGIN
    SELECT r.before INTO due FROM servitize.retention_rows() r WHERE r.tenant_id IS NOT DISTINCT FROM tenant AND r.kind = of_kind;
    IF due IS NULL THEN
        RETURN 0;
    END IF;
    IF dry THEN
        RETURN CASE of_kind
            WHEN 'event' THEN (SELECT count(*) FROM servitize.event x WHERE x.equipment_id = ANY (mine) AND x.ts < due)
            WHEN 'state' THEN (SELECT count(*) FROM servitize.state_change x WHERE x.equipment_id = ANY (mine) AND x.at < due AND EXISTS (
                SELECT FROM servitize.state_change n WHERE n.equipment_id = x.equipment_id AND n.at > x.at))
            WHEN 'health' THEN (SELECT count(*) FROM servitize.health_history x WHERE x.equipment_id = ANY (mine) AND x.at < due)
            WHEN 'transition' THEN (SELECT count(*) FROM servitize.condition_transition x WHERE x.equipment_id = ANY (mine) AND x.at < due)
            WHEN 'alarm_journal' THEN (SELECT count(*) FROM servitize.alarm_journal x WHERE x.equipment_id = ANY (mine) AND x.at < due AND EXISTS (
                SELECT FROM servitize.alarm_journal n WHERE n.alarm_id = x.alarm_id AND n.id > x.id))
            WHEN 'dead_letter' THEN (SELECT count(*) FROM servitize.dead_letter x WHERE x.tenant_id IS NOT DISTINCT FROM tenant AND x.last_received_at < due)
            WHEN 'audit' THEN (SELECT count(*) FROM servitize.audit_log x WHERE x.tenant_id IS NOT DISTINCT FROM tenant AND x.at < due)
            END;
    END IF;
    -- the two logs that nobody may cut let this through
    PERFORM set_config('servitize.retention', 'on', true);
    CASE of_kind
        WHEN 'event' THEN
            DELETE FROM servitize.event x WHERE x.equipment_id = ANY (mine) AND x.ts < due;
        WHEN 'state' THEN
            DELETE FROM servitize.state_change x WHERE x.equipment_id = ANY (mine) AND x.at < due AND EXISTS (
                SELECT FROM servitize.state_change n WHERE n.equipment_id = x.equipment_id AND n.at > x.at);
        WHEN 'health' THEN
            DELETE FROM servitize.health_history x WHERE x.equipment_id = ANY (mine) AND x.at < due;
        WHEN 'transition' THEN
            DELETE FROM servitize.condition_transition x WHERE x.equipment_id = ANY (mine) AND x.at < due;
        WHEN 'alarm_journal' THEN
            WITH cut AS (
                DELETE FROM servitize.alarm_journal x WHERE x.equipment_id = ANY (mine) AND x.at < due AND EXISTS (
                    SELECT FROM servitize.alarm_journal n WHERE n.alarm_id = x.alarm_id AND n.id > x.id)
                RETURNING x.event)
            SELECT count(*), count(*) FILTER (WHERE c.event IN ('raised', 'cleared', 'suppressed', 'unsuppressed')) INTO gone, part FROM cut c;
            PERFORM servitize.count_expired(of_kind, tenant, 'journalled', part);
        WHEN 'dead_letter' THEN
            WITH cut AS (
                DELETE FROM servitize.dead_letter x WHERE x.tenant_id IS NOT DISTINCT FROM tenant AND x.last_received_at < due RETURNING x.readings)
            SELECT count(*), coalesce(sum(c.readings), 0) INTO gone, part FROM cut c;
            PERFORM servitize.count_expired(of_kind, tenant, 'dead_letter_readings', part);
        WHEN 'audit' THEN
            DELETE FROM servitize.audit_log x WHERE x.tenant_id IS NOT DISTINCT FROM tenant AND x.at < due;
    END CASE;
    IF of_kind NOT IN ('alarm_journal', 'dead_letter') THEN
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    PERFORM set_config('servitize.retention', 'off', true);
    PERFORM servitize.count_expired(of_kind, tenant, of_kind, gone);
    RETURN gone;
END $$;

-- Only retention cuts these logs: the owner's own function, while it says so.
CREATE OR REPLACE FUNCTION servitize.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'servitize_owner' AND current_setting('servitize.retention', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

GRANT EXECUTE ON FUNCTION servitize.retention_pieces, servitize.expiring_of_piece, servitize.expire_piece, servitize.retention_rows,
    servitize.expire_rows, servitize.retention_bounds TO servitize_writer;
