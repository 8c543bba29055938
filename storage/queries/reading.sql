-- Reads for API, command line and boards. Run by the API's login they see what the tenant sees; by the platform's, everything.
-- Readings come by the definer functions in both cases where the tenant is set; raw_count is for tests and the platform alone.

-- name: set_tenant(tenant_id)!
-- For the API's login, first thing in every transaction.
SELECT set_config('servitize.tenant', :tenant_id::int::text, true);

-- name: readings(point_id, time_from, time_to, max_rows)
SELECT servitize.to_us(ts) AS ts, value, quality, servitize.to_us(received_at) AS received_at
  FROM servitize.readings(:point_id, servitize.from_us(:time_from), servitize.from_us(:time_to), :max_rows);

-- name: readings_thinned(point_id, time_from, time_to, pixels)
SELECT servitize.to_us(ts) AS ts, value, quality
  FROM servitize.readings_thinned(:point_id, servitize.from_us(:time_from), servitize.from_us(:time_to), :pixels);

-- name: rollups(point_id, time_from, time_to, step)
-- Least, greatest, mean, first, last of the usable readings, their number in all and the share of good ones, per step ('1 hour').
SELECT servitize.to_us(bucket) AS bucket, min, max, mean, first, last, count, good_share
  FROM servitize.rollups(:point_id, servitize.from_us(:time_from), servitize.from_us(:time_to), :step::interval);

-- name: latest(equipment_id)
SELECT point_id, key, unit, kind, servitize.to_us(ts) AS ts, value, quality, servitize.to_us(received_at) AS received_at
  FROM servitize.latest_visible WHERE equipment_id = :equipment_id ORDER BY point_id;

-- name: gaps(point_id, time_from, time_to, longest)
-- Stretches of more than longest microseconds without a reading.
SELECT servitize.to_us(gap_from) AS gap_from, servitize.to_us(gap_to) AS gap_to
  FROM servitize.reading_gaps(:point_id, servitize.from_us(:time_from), servitize.from_us(:time_to),
                              :longest::bigint * interval '1 microsecond');

-- name: sequence_gaps(equipment_id, time_from, time_to)
-- What devices numbered and nobody received, as ingest noticed it.
SELECT servitize.to_us(ts) AS ts, body FROM servitize.event
 WHERE equipment_id = :equipment_id AND kind = 'sequence_gap'
   AND ts >= servitize.from_us(:time_from) AND ts < servitize.from_us(:time_to)
 ORDER BY ts;

-- name: events(equipment_id, kind, time_from, time_to, max_rows)
-- All kinds where kind is NULL.
SELECT kind, servitize.to_us(ts) AS ts, encode(hash, 'hex') AS hash, body, servitize.to_us(received_at) AS received_at
  FROM servitize.event
 WHERE equipment_id = :equipment_id AND (:kind::text IS NULL OR kind = :kind::text)
   AND ts >= servitize.from_us(:time_from) AND ts < servitize.from_us(:time_to)
 ORDER BY ts, kind, hash LIMIT :max_rows;

-- name: dead_letters(tenant_id, reason, before_id, max_rows)
-- Newest first, from before_id on where that is not NULL; of all tenants (and of nobody's topics) where tenant_id is NULL.
SELECT d.id, d.tenant_id, t.slug AS tenant, d.equipment_id, e.key AS equipment, d.topic, d.payload_bytes, d.reason, d.detail,
       servitize.to_us(d.first_received_at) AS first_received_at, servitize.to_us(d.last_received_at) AS last_received_at,
       d.count, d.readings, servitize.to_us(d.replayed_at) AS replayed_at
  FROM servitize.dead_letter d
  LEFT JOIN servitize.tenant t ON t.id = d.tenant_id
  LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
 WHERE (:tenant_id::int IS NULL OR d.tenant_id = :tenant_id::int) AND (:reason::text IS NULL OR d.reason = :reason::text)
   AND (:before_id::bigint IS NULL OR d.id < :before_id::bigint)
 ORDER BY d.id DESC LIMIT :max_rows;

-- name: dead_letter(id)^
SELECT d.id, d.tenant_id, t.slug AS tenant, d.equipment_id, e.key AS equipment, d.topic, d.payload, d.payload_bytes, d.reason,
       d.detail, servitize.to_us(d.first_received_at) AS first_received_at,
       servitize.to_us(d.last_received_at) AS last_received_at, d.count, d.readings, servitize.to_us(d.replayed_at) AS replayed_at
  FROM servitize.dead_letter d
  LEFT JOIN servitize.tenant t ON t.id = d.tenant_id
  LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
 WHERE d.id = :id;

-- name: mark_replayed(ids)!
UPDATE servitize.dead_letter SET replayed_at = now() WHERE id = ANY(:ids::bigint[]);

-- name: conservation()
SELECT stream, name, count FROM servitize.conservation ORDER BY stream, name;

-- name: partition_alarm()
SELECT stray_readings, servitize.to_us(oldest) AS oldest, servitize.to_us(newest) AS newest FROM servitize.partition_alarm;

-- name: outbox(after, max_rows)
-- What is numbered after a cursor, visible to the tenant asking.
SELECT seq, tenant_id, equipment_id, kind, payload, servitize.to_us(created_at) AS created_at
  FROM servitize.outbox WHERE seq > :after ORDER BY seq LIMIT :max_rows;

-- name: outbox_head()$
SELECT coalesce(max(seq), 0) FROM servitize.outbox;
