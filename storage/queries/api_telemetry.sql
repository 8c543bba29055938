-- name: latest(equipment)
SELECT p.id AS point_id, p.key AS point, c.key AS component, p.unit, p.kind, l.ts, l.value, l.quality, l.received_at
  FROM servitize.point p
  JOIN servitize.latest_visible l ON l.point_id = p.id
  LEFT JOIN servitize.component c ON c.id = p.component_id
 WHERE p.equipment_id = :equipment AND l.equipment_id = :equipment
 ORDER BY p.position, p.key;

-- name: point(id)^
SELECT p.id, p.key, p.unit, p.kind, p.description, p.range_low, p.range_high, c.key AS component, e.id AS equipment_id,
       e.key AS equipment_key, e.name AS equipment_name, l.ts, l.value, l.quality
  FROM servitize.point p
  JOIN servitize.equipment e ON e.id = p.equipment_id
  LEFT JOIN servitize.component c ON c.id = p.component_id
  LEFT JOIN servitize.latest_visible l ON l.point_id = p.id
 WHERE p.id = :id;

-- name: readings(point, time_from, time_to, count)
SELECT r.ts, r.value, r.quality FROM servitize.readings(:point, :time_from, :time_to, :count) r;

-- name: readings_thinned(point, time_from, time_to, pixels)
SELECT r.ts, r.value, r.quality FROM servitize.readings_thinned(:point, :time_from, :time_to, :pixels) r;

-- name: gaps(point, time_from, time_to, longest, after, count)
SELECT g.gap_from, g.gap_to
  FROM servitize.reading_gaps(:point, :time_from, :time_to, :longest) g
 WHERE :after::timestamptz IS NULL OR g.gap_from > :after
 ORDER BY g.gap_from
 LIMIT :count;

-- name: events(equipment, kind, time_from, time_to, after_ts, after_key, count)
-- Newest first. "place" tells events of one moment apart.
SELECT e.id AS equipment_id, e.key AS equipment_key, e.name AS equipment_name, x.kind, x.ts, x.body, x.received_at, x.place
  FROM (SELECT v.*, v.equipment_id::text || '/' || v.kind || '/' || encode(v.hash, 'hex') AS place FROM servitize.event v) x
  JOIN servitize.equipment e ON e.id = x.equipment_id
 WHERE (:equipment::int IS NULL OR x.equipment_id = :equipment)
   AND (:kind::text IS NULL OR x.kind = :kind)
   AND (:time_from::timestamptz IS NULL OR x.ts >= :time_from)
   AND (:time_to::timestamptz IS NULL OR x.ts < :time_to)
   AND (:after_ts::timestamptz IS NULL OR (x.ts, x.place) < (:after_ts, :after_key::text))
 ORDER BY x.ts DESC, x.place DESC
 LIMIT :count;

-- name: dead_letters(id, reason, equipment, after, count)
-- Newest identity first.
SELECT d.id, d.topic, e.key AS equipment, d.reason, d.detail, d.count, d.readings, d.first_received_at AS first_seen,
       d.last_received_at AS last_seen, d.payload_bytes AS bytes, d.payload_bytes = length(d.payload) AS whole, d.payload,
       d.replayed_at, q.requested_at AS replay_requested_at
  FROM servitize.dead_letter d
  LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
  LEFT JOIN servitize.replay_request q ON q.dead_letter_id = d.id
 WHERE (:id::bigint IS NULL OR d.id = :id)
   AND (:reason::text IS NULL OR d.reason = :reason)
   AND (:equipment::int IS NULL OR d.equipment_id = :equipment)
   AND (:after::bigint IS NULL OR d.id < :after)
 ORDER BY d.id DESC
 LIMIT :count;

-- name: health_of(equipment)
SELECT h.component, c.name, c.criticality, h.at, h.index, h.reasons
  FROM servitize.health h
  LEFT JOIN servitize.component c ON c.equipment_id = h.equipment_id AND c.key = h.component
 WHERE h.equipment_id = :equipment
 ORDER BY h.index, h.component;

-- name: request_replay(letter, who)$
SELECT servitize.request_replay(:letter::bigint, :who::text);

-- name: intake_tally(equipment)
SELECT t.what, t.times, t.amount, t.newest_at FROM servitize.intake_tally t WHERE t.equipment_id = :equipment ORDER BY t.what;

-- name: intake_state(equipment)^
-- When the newest of its measured readings came in, and whether its seconds are its publisher's (then no rates are held).
SELECT (SELECT max(l.received_at) FROM servitize.latest_visible l WHERE l.equipment_id = :equipment AND l.kind = 'measured')
           AS last_received_at,
       EXISTS (SELECT FROM servitize.equipment e JOIN servitize.tenant t ON t.id = e.tenant_id
                WHERE e.id = :equipment AND t.publisher_clock) AS publisher_clock;

-- name: recent_gaps(equipment, count)
SELECT e.ts, e.body FROM servitize.event e
 WHERE e.equipment_id = :equipment AND e.kind = 'sequence_gap' ORDER BY e.ts DESC, e.hash LIMIT :count;
