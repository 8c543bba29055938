-- What the command line and the live view read, as the writer's login: lists, totals, newest alarms.

-- name: totals()
-- Conservation counters of all streams by name.
SELECT name, sum(count)::bigint FROM servitize.conservation GROUP BY name;

-- name: newest_event(tenant_id)$
-- Event time of the newest stored reading of a tenant, of all where NULL.
SELECT servitize.to_us(max(l.ts))
  FROM servitize.latest_reading l
  JOIN servitize.point p ON p.id = l.point_id
  JOIN servitize.equipment e ON e.id = p.equipment_id
 WHERE p.kind = 'measured' AND (:tenant_id::int IS NULL OR e.tenant_id = :tenant_id::int);

-- name: newest_received()$
-- Host's time at which the newest of the latest readings came in.
SELECT servitize.to_us(max(received_at)) FROM servitize.latest_reading;

-- name: health(tenant_id)
-- Per approved equipment: type, newest state, index, worst component with its index, and the reasons of the equipment.
SELECT e.key, e.type_key, s.state, h.index, w.component, w.index, coalesce(w.reasons, h.reasons, '[]')
  FROM servitize.equipment e
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
  LEFT JOIN LATERAL (
       SELECT c.component, c.index, c.reasons FROM servitize.health c
        WHERE c.equipment_id = e.id AND c.component <> '' AND c.index < 100 ORDER BY c.index, c.component LIMIT 1) w ON true
  LEFT JOIN LATERAL (
       SELECT c.state FROM servitize.state_change c WHERE c.equipment_id = e.id ORDER BY c.at DESC LIMIT 1) s ON true
 WHERE e.status = 'approved' AND (:tenant_id::int IS NULL OR e.tenant_id = :tenant_id::int)
 ORDER BY e.key LIMIT 40;

-- name: newest_alarms(tenant_id, most)
-- What was announced, newest first; consequences stay under their first-out and are not shown here.
SELECT servitize.to_us(j.at), e.key, a.component, j.priority, a.state, a.title
  FROM servitize.alarm_journal j
  JOIN servitize.alarm a ON a.id = j.alarm_id
  JOIN servitize.equipment e ON e.id = j.equipment_id
 WHERE j.announced AND (:tenant_id::int IS NULL OR e.tenant_id = :tenant_id::int)
 ORDER BY j.id DESC LIMIT :most;

-- name: active_alarms(tenant_id)$
SELECT count(*) FROM servitize.alarm a JOIN servitize.equipment e ON e.id = a.equipment_id
 WHERE a.active AND (:tenant_id::int IS NULL OR e.tenant_id = :tenant_id::int);

-- name: journal_head()$
SELECT coalesce(max(id), 0) FROM servitize.alarm_journal;

-- name: announced_since(tenant_id, id)
SELECT e.key, a.component, j.condition, a.concern, servitize.to_us(j.at), a.title, j.priority, a.point, a.failure_mode
  FROM servitize.alarm_journal j
  JOIN servitize.alarm a ON a.id = j.alarm_id
  JOIN servitize.equipment e ON e.id = j.equipment_id
 WHERE j.announced AND j.id > :id AND e.tenant_id = :tenant_id
 ORDER BY j.at, j.id;

-- name: dead_letter_count()$
SELECT coalesce(sum(count), 0)::bigint FROM servitize.dead_letter WHERE replayed_at IS NULL;

-- name: tenants()
SELECT t.slug, t.name, t.unknown_equipment, t.publisher_clock,
       (SELECT count(*) FROM servitize.equipment e WHERE e.tenant_id = t.id)
  FROM servitize.tenant t ORDER BY t.slug;

-- name: equipment(tenant_id)
SELECT t.slug, e.key, e.name, e.type_key, e.status, s.key, servitize.to_us(e.registered_at)
  FROM servitize.equipment e
  JOIN servitize.tenant t ON t.id = e.tenant_id
  LEFT JOIN servitize.site s ON s.id = e.site_id
 WHERE :tenant_id::int IS NULL OR e.tenant_id = :tenant_id::int
 ORDER BY t.slug, e.key;

-- name: types()
SELECT y.key, y.name, y.version, y.revision, t.slug, (SELECT count(*) FROM servitize.equipment e WHERE e.type_key = y.key)
  FROM servitize.equipment_type y LEFT JOIN servitize.tenant t ON t.id = y.tenant_id ORDER BY y.key;

-- name: dead_letters(tenant_id, reason, most)
SELECT d.id, servitize.to_us(d.last_received_at), t.slug, d.topic, d.reason, d.count, d.detail, servitize.to_us(d.replayed_at)
  FROM servitize.dead_letter d LEFT JOIN servitize.tenant t ON t.id = d.tenant_id
 WHERE (:tenant_id::int IS NULL OR d.tenant_id = :tenant_id::int) AND (:reason::text IS NULL OR d.reason = :reason::text)
 ORDER BY d.last_received_at DESC, d.id DESC LIMIT :most;

-- name: dead_letter_reasons(tenant_id, reason)
-- How many there are of each reason, most first.
SELECT d.reason, count(*)::bigint
  FROM servitize.dead_letter d
 WHERE (:tenant_id::int IS NULL OR d.tenant_id = :tenant_id::int) AND (:reason::text IS NULL OR d.reason = :reason::text)
 GROUP BY d.reason ORDER BY 2 DESC, 1;

-- name: dead_letter(id)^
SELECT d.id, servitize.to_us(d.first_received_at), servitize.to_us(d.last_received_at), t.slug, d.topic, d.reason, d.count, d.readings,
       d.detail, d.payload, d.payload_bytes, servitize.to_us(d.replayed_at)
  FROM servitize.dead_letter d LEFT JOIN servitize.tenant t ON t.id = d.tenant_id WHERE d.id = :id;

-- name: to_replay(tenant_id, ids, reason)
-- Dead letters that can be sent again: named by id, else those not yet replayed of the reason.
SELECT d.id, d.topic, d.payload, d.payload_bytes
  FROM servitize.dead_letter d
 WHERE (:tenant_id::int IS NULL OR d.tenant_id = :tenant_id::int)
   AND CASE WHEN :ids::bigint[] IS NOT NULL THEN d.id = ANY (:ids::bigint[])
            ELSE d.replayed_at IS NULL AND (:reason::text IS NULL OR d.reason = :reason::text) END
 ORDER BY d.id;

-- name: mark_replayed(ids)!
UPDATE servitize.dead_letter SET replayed_at = now() WHERE id = ANY (:ids::bigint[]);

-- name: clock()$
SELECT servitize.to_us(clock_timestamp());

-- name: stray_readings()$
SELECT coalesce(sum(stray_readings), 0)::bigint FROM servitize.partition_alarm;

-- name: profiles(tenant_id)
-- Mapping profiles of one tenant, or of all where tenant_id is NULL: tenant, name, document.
SELECT t.slug, p.name, p.document
  FROM servitize.mapping_profile p JOIN servitize.tenant t ON t.id = p.tenant_id
 WHERE :tenant_id::int IS NULL OR p.tenant_id = :tenant_id
 ORDER BY t.slug, p.name;

-- name: device_intake(tenant_id)
-- Per device of one tenant, or of all where NULL: its id, when its equipment's newest reading came in, messages missing, readings refused.
SELECT d.id, servitize.to_us(l.received_at), t.missing, t.refused
  FROM servitize.device d
  LEFT JOIN LATERAL (
       SELECT coalesce(sum(x.amount) FILTER (WHERE x.what = 'sequence_gap'), 0)::bigint AS missing,
              coalesce(sum(x.amount) FILTER (WHERE x.what <> 'sequence_gap'), 0)::bigint AS refused
         FROM servitize.intake_tally x WHERE x.equipment_id = d.equipment_id) t ON d.equipment_id IS NOT NULL
  LEFT JOIN LATERAL (
       SELECT max(r.received_at) AS received_at FROM servitize.latest_reading r JOIN servitize.point p ON p.id = r.point_id
        WHERE p.equipment_id = d.equipment_id AND p.kind = 'measured') l ON d.equipment_id IS NOT NULL
 WHERE :tenant_id::int IS NULL OR d.tenant_id = :tenant_id::int
 ORDER BY d.id;

-- name: intake_tally(tenant_id, equipment)
-- What was missing and refused, of one equipment (its key) or of each: equipment, what, times, amount, newest.
SELECT e.key, t.what, t.times, t.amount, servitize.to_us(t.newest_at)
  FROM servitize.intake_tally t JOIN servitize.equipment e ON e.id = t.equipment_id
 WHERE e.tenant_id = :tenant_id AND (:equipment::text IS NULL OR e.key = :equipment::text)
 ORDER BY e.key, t.what;

-- name: publisher_clock(tenant_id)$
SELECT publisher_clock FROM servitize.tenant WHERE id = :tenant_id;
