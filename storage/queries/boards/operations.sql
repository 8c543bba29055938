-- The platform itself: does what comes in go somewhere, and in time? See docs/reference/conservation.md.

-- name: summary()
-- Figures of the whole platform are NULL for a tenant that does not run it.
WITH f AS MATERIALIZED (SELECT * FROM servitize.figures_for_operator()),
     lag AS MATERIALIZED (SELECT x.*, (SELECT servitize.timeline_now()) - x.newest AS behind FROM servitize.machine_lag x)
SELECT (SELECT max(f.value) FROM f WHERE f.name = 'servitize_stream_snapshot_age_seconds') AS commit_age,
       (SELECT max(f.value) FROM f WHERE f.name = 'servitize_outbox_pending') AS outbox_pending,
       (SELECT count(*) FROM servitize.equipment e LEFT JOIN lag ON lag.equipment_id = e.id
         WHERE e.status = 'approved' AND (lag.newest IS NULL OR lag.behind > interval '15 minutes')) AS silent_machines,
       (SELECT coalesce(sum(d.readings), 0)::bigint FROM servitize.dead_letter_summary d WHERE d.replayed_at IS NULL) AS dead_readings,
       (SELECT coalesce(sum(t.amount), 0)::bigint FROM servitize.intake_tally t WHERE t.what = 'sequence_gap') AS missing_messages;

-- name: hops()
-- Each sum of the conservation rules; "lost" must be 0. Nothing where the tenant does not run the platform.
WITH c AS MATERIALIZED (
    SELECT f.labels->>'name' AS name, sum(f.value) AS n
      FROM servitize.figures_for_operator() f WHERE f.name = 'servitize_conservation' GROUP BY 1),
given AS MATERIALIZED (
    SELECT coalesce(sum(c.n) FILTER (WHERE c.name = 'ingest.readings'), 0) AS readings,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'ingest.accepted'), 0) AS accepted,
           coalesce(sum(c.n) FILTER (WHERE c.name LIKE 'ingest.refused.%%'), 0) AS refused,
           coalesce(sum(c.n) FILTER (WHERE c.name IN ('ingest.texts', 'ingest.events', 'ingest.waveforms', 'ingest.cycles', 'ingest.ignored.retained')), 0) AS beside,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'storage.in_measured'), 0) AS measured,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'storage.in_derived'), 0) AS derived,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'storage.stored'), 0) AS stored,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'storage.duplicates'), 0) AS duplicates,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'storage.conflicts'), 0) AS conflicts,
           coalesce(sum(c.n) FILTER (WHERE c.name = 'storage.dead_letter_readings'), 0) AS dead
      FROM c HAVING count(*) > 0)
SELECT h.hop, h.taken, h.kept, h.refused, h.taken - h.kept - h.refused AS lost
  FROM given g
 CROSS JOIN LATERAL (VALUES
       (1, 'ingest', g.readings, g.accepted + g.beside, g.refused),
       (2, 'processing', g.accepted, g.measured, 0::float8),
       (3, 'storage', g.measured + g.derived, g.stored + g.duplicates + g.conflicts, 0::float8),
       (4, 'dead letters', g.refused, g.dead, 0::float8)) AS h (place, hop, taken, kept, refused)
 ORDER BY h.place;

-- name: streams()
SELECT f.labels->>'stream' AS stream,
       max(f.value) FILTER (WHERE f.name = 'servitize_stream_next_offset') AS next_offset,
       max(f.value) FILTER (WHERE f.name = 'servitize_stream_snapshot_age_seconds') AS snapshot_age
  FROM servitize.figures_for_operator() f
 WHERE f.name IN ('servitize_stream_next_offset', 'servitize_stream_snapshot_age_seconds')
 GROUP BY 1 ORDER BY snapshot_age DESC NULLS LAST, 1;

-- name: machines()
-- Per machine: how far its newest reading is behind the tenant's now, what its numbering says is missing, what was refused.
SELECT e.id AS equipment_id, e.name AS equipment, l.newest,
       extract(epoch FROM (SELECT servitize.timeline_now()) - l.newest)::float8 AS behind,
       coalesce(t.gaps, 0)::bigint AS gaps, coalesce(t.missing, 0)::bigint AS missing, coalesce(t.refused, 0)::bigint AS refused
  FROM servitize.equipment e
  LEFT JOIN servitize.machine_lag l ON l.equipment_id = e.id
  LEFT JOIN (
      SELECT x.equipment_id, sum(x.times) FILTER (WHERE x.what = 'sequence_gap') AS gaps,
             sum(x.amount) FILTER (WHERE x.what = 'sequence_gap') AS missing,
             sum(x.amount) FILTER (WHERE x.what LIKE 'refused.%%') AS refused
        FROM servitize.intake_tally x GROUP BY x.equipment_id) t ON t.equipment_id = e.id
 WHERE e.status = 'approved'
 ORDER BY l.newest NULLS FIRST, missing DESC, e.name
 LIMIT 500;

-- name: dead_letters()
SELECT e.name AS equipment, d.reason, max(d.detail) AS detail, sum(d.count)::bigint AS times, sum(d.readings)::bigint AS readings,
       max(d.last_received_at) AS last_seen, count(*) FILTER (WHERE d.replayed_at IS NOT NULL) AS replayed
  FROM servitize.dead_letter_summary d
  LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
 GROUP BY e.name, d.reason
 ORDER BY readings DESC, d.reason
 LIMIT 100;

-- name: stored_per_hour(from_us, to_us)
-- Readings of the tenant's machines by hour of their own time, as far as rollups are made.
SELECT h.bucket AS time, e.name AS metric, sum(h.count)::float8 AS value
  FROM servitize.equipment e
  JOIN servitize.point p ON p.equipment_id = e.id
  JOIN servitize.rollup_hour_visible h ON h.point_id = p.id
 WHERE h.bucket >= date_trunc('hour', servitize.from_us(:from_us::bigint), 'UTC') AND h.bucket < servitize.from_us(:to_us::bigint)
   AND e.status = 'approved'
 GROUP BY h.bucket, e.name
 ORDER BY h.bucket, e.name
 LIMIT 20000;
