-- The views of readings against whoever may write SQL (boards): what a condition of theirs meets of others must show nowhere, not in rows, not in
-- EXPLAIN ANALYZE's counts of rows that were looked at and dropped, not in estimates.
--
-- A barrier lets conditions pass below it that give nothing away by errors (ts > …, value > …). They are then tried on rows of others too, and the
-- plan says how many met them: enough to find a stranger's value by halving. So the tenant's points are a condition on the readings themselves,
-- which is tried with the others on one and the same row, and values are behind a function that conditions do not pass.

-- Points of the tenant asking, in order.
CREATE FUNCTION servitize.my_points() RETURNS int[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(p.id ORDER BY p.id), '{}') FROM servitize.point p JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id
$$;

-- The value itself. VOLATILE is what it is for: the planner takes no condition below a barrier through a volatile column. That is decided before
-- functions are inlined; afterwards nothing is left of it, and it costs nothing.
CREATE FUNCTION servitize.opaque(value anyelement) RETURNS anyelement
    LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT value $$;

CREATE OR REPLACE VIEW servitize.reading_visible WITH (security_barrier) AS
SELECT r.point_id, r.ts, servitize.opaque(r.value) AS value, servitize.opaque(r.quality) AS quality, servitize.opaque(r.received_at) AS received_at
  FROM servitize.reading r
 WHERE r.point_id = ANY ((SELECT servitize.my_points())::int[]);

CREATE OR REPLACE VIEW servitize.latest_visible WITH (security_barrier) AS
SELECT p.equipment_id, l.point_id, p.key, p.unit, p.kind, servitize.opaque(l.ts) AS ts, servitize.opaque(l.value) AS value,
       servitize.opaque(l.quality) AS quality, servitize.opaque(l.received_at) AS received_at
  FROM servitize.point p
  JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id
  JOIN servitize.latest_reading l ON l.point_id = p.id;

CREATE OR REPLACE VIEW servitize.rollup_hour_visible WITH (security_barrier) AS
SELECT h.point_id, h.bucket, servitize.opaque(h.min) AS min, servitize.opaque(h.max) AS max, servitize.opaque(h.sum / nullif(h.usable, 0)) AS mean,
       servitize.opaque(h.first) AS first, servitize.opaque(h.last) AS last, servitize.opaque(h.count) AS count,
       servitize.opaque(h.good::float8 / h.count) AS good_share
  FROM servitize.rollup_hour h
 WHERE h.point_id = ANY ((SELECT servitize.my_points())::int[]);

CREATE OR REPLACE VIEW servitize.rollup_day_visible WITH (security_barrier) AS
SELECT d.point_id, d.bucket, servitize.opaque(d.min) AS min, servitize.opaque(d.max) AS max, servitize.opaque(d.sum / nullif(d.usable, 0)) AS mean,
       servitize.opaque(d.first) AS first, servitize.opaque(d.last) AS last, servitize.opaque(d.count) AS count,
       servitize.opaque(d.good::float8 / d.count) AS good_share
  FROM servitize.rollup_day d
 WHERE d.point_id = ANY ((SELECT servitize.my_points())::int[]);

GRANT EXECUTE ON FUNCTION servitize.my_points, servitize.opaque TO servitize_api, servitize_board, servitize_writer;

-- Estimates of tables with row security rest on statistics over the rows of all tenants. Of measured values none are gathered: nobody searches by them.
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT a.attrelid::regclass AS relation, a.attname
                  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                 WHERE c.relnamespace = 'servitize'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relrowsecurity
                   AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('float8'::regtype, 'float4'::regtype, 'numeric'::regtype)
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', part.relation, part.attname);
    END LOOP;
END $$;
