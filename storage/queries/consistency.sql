-- What must hold between tables at every moment. Run in one snapshot of the database; every query gives what contradicts.

-- name: counters()
SELECT name, sum(count)::bigint FROM servitize.conservation GROUP BY name;

-- name: totals()^
-- Readings, dead-lettered readings, transitions, journal rows that processors wrote.
SELECT (SELECT count(*) FROM servitize.reading),
       (SELECT coalesce(sum(readings), 0)::bigint FROM servitize.dead_letter),
       (SELECT count(*) FROM servitize.condition_transition),
       (SELECT count(*) FROM servitize.alarm_journal WHERE event IN ('raised', 'cleared', 'suppressed', 'unsuppressed'));

-- name: broken_streams()
-- Streams whose snapshot and journal do not reach to the position without a gap. A cluster's have their journal in Kafka.
SELECT p.stream, p.next_offset, s."offset", j.first, j.last, j.records
  FROM servitize.stream_position p
  LEFT JOIN servitize.stream_snapshot s ON s.stream = p.stream
  LEFT JOIN LATERAL (
       SELECT min(x."offset") AS first, max(x."offset") AS last, count(*) AS records
         FROM servitize.stream_journal x WHERE x.stream = p.stream) j ON true
 WHERE p.stream !~ '^(telemetry-[0-9]+|outbox)$' AND (
       j.records <> p.next_offset - 1 - coalesce(s."offset", -1)
    OR (j.records > 0 AND (j.first <> coalesce(s."offset", -1) + 1 OR j.last <> p.next_offset - 1)));

-- name: broken_alarms()
-- Alarms that are not where the last line of their journal left them.
SELECT a.id, a.state, a.active, j.to_state, j.active
  FROM servitize.alarm a
  LEFT JOIN LATERAL (
       SELECT x.to_state, x.active FROM servitize.alarm_journal x WHERE x.alarm_id = a.id ORDER BY x.id DESC LIMIT 1) j ON true
 WHERE (a.state, a.active) IS DISTINCT FROM (j.to_state, j.active);

-- name: broken_latest()
-- Latest values that say something else than the reading of that time, where retention has not taken that reading.
SELECT l.point_id, servitize.to_us(l.ts), l.value, r.value
  FROM servitize.latest_reading l
  LEFT JOIN LATERAL (
       SELECT x.value FROM servitize.reading x WHERE x.point_id = l.point_id AND x.ts = l.ts) r ON true
 WHERE r.value IS NULL AND NOT EXISTS (
       SELECT FROM servitize.point p JOIN servitize.equipment e ON e.id = p.equipment_id
         JOIN servitize.retention_horizon z ON z.tenant_id = e.tenant_id AND z.kind = 'raw' AND z.before > l.ts
        WHERE p.id = l.point_id)
 LIMIT 100;

-- name: broken_outbox()^
SELECT h.seq, m.top FROM servitize.outbox_head h, (SELECT coalesce(max(seq), 0) AS top FROM servitize.outbox) m WHERE m.top > h.seq;

-- name: broken_tallies()
-- What is shown of an equipment's refusals and gaps is at least what the tables still hold of them.
SELECT x.equipment_id, x.what, x.amount, coalesce(t.amount, 0)
  FROM (SELECT d.equipment_id, 'refused.' || d.reason AS what, sum(d.readings)::bigint AS amount
          FROM servitize.dead_letter d WHERE d.equipment_id IS NOT NULL GROUP BY 1, 2
        UNION ALL
        SELECT e.equipment_id, 'sequence_gap', sum(servitize.missing_in(e.body))::bigint
          FROM servitize.event e WHERE e.kind = 'sequence_gap' GROUP BY 1) x
  LEFT JOIN servitize.intake_tally t ON t.equipment_id = x.equipment_id AND t.what = x.what
 WHERE x.amount > coalesce(t.amount, 0)
 LIMIT 100;
