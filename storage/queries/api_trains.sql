-- name: train_type(equipment)^
-- The document of the equipment's type.
SELECT t.document FROM servitize.equipment e JOIN servitize.equipment_type t ON t.key = e.type_key WHERE e.id = :equipment;

-- name: train_codes(equipment, time_from, time_to, count)
-- Reports of trouble codes, newest first.
SELECT v.ts, v.body FROM servitize.event v
 WHERE v.equipment_id = :equipment AND v.kind = 'trouble_code' AND v.ts >= :time_from AND v.ts < :time_to
 ORDER BY v.ts DESC
 LIMIT :count;

-- name: train_values(equipment, keys)
-- The newest reading of points, in the order of the keys.
SELECT l.key AS point, l.unit, l.ts, l.value, l.quality, p.description
  FROM servitize.latest_visible l
  JOIN servitize.point p ON p.id = l.point_id
 WHERE l.equipment_id = :equipment AND l.key = ANY (:keys::text[])
 ORDER BY array_position(:keys::text[], l.key);

-- name: train_vehicles(equipment, time_from, time_to)
-- Which vehicle stood in which place since when: readings of points car….vehicle, where they changed.
SELECT x.place, x.vehicle, x.ts AS since
  FROM (SELECT p.component AS place, r.ts, r.value::bigint AS vehicle, lag(r.value) OVER (PARTITION BY p.component ORDER BY r.ts) AS before, r.value
          FROM (SELECT q.id, k.key AS component FROM servitize.point q JOIN servitize.component k ON k.id = q.component_id
                 WHERE q.equipment_id = :equipment AND q.key ~ '^car\d+\.vehicle$') p
         CROSS JOIN LATERAL servitize.readings_thinned(p.id, :time_from, :time_to, 1000) r
         WHERE r.quality & 255 >= 64 AND r.value <> 'NaN') x
 WHERE x.before IS DISTINCT FROM x.value
 ORDER BY x.place, x.ts;

-- name: train_fleet(time_from, time_to)
-- Every machine that counts kilometres, with what it ran, where it failed and what it delayed within the time. A failure is an
-- announced alarm of the machine that takes it off the line at once or at the end of the day.
SELECT e.id, e.key, e.name, e.type_key AS type,
       (SELECT max(r.value) - min(r.value) FROM servitize.readings_thinned(p.id, :time_from, :time_to, 16) r
         WHERE r.quality & 255 >= 64 AND r.value <> 'NaN') AS km,
       (SELECT count(*) FROM servitize.alarm_journal j JOIN servitize.alarm a ON a.id = j.alarm_id
         WHERE j.equipment_id = e.id AND j.at >= :time_from AND j.at < :time_to AND j.event = 'raised' AND j.announced AND a.concern = 'machine'
           AND j.detail->>'advice' = 'withdraw') AS withdrawals,
       (SELECT count(*) FROM servitize.alarm_journal j JOIN servitize.alarm a ON a.id = j.alarm_id
         WHERE j.equipment_id = e.id AND j.at >= :time_from AND j.at < :time_to AND j.event = 'raised' AND j.announced AND a.concern = 'machine'
           AND j.detail->>'advice' = 'end_of_day') AS end_of_day,
       (SELECT coalesce(sum(CASE WHEN jsonb_typeof(v.body->'minutes') = 'number' THEN (v.body->>'minutes')::float8 END), 0) FROM servitize.event v
         WHERE v.equipment_id = e.id AND v.kind = 'delay' AND v.ts >= :time_from AND v.ts < :time_to) AS delay_minutes,
       (SELECT count(*) FROM servitize.cycle c WHERE c.equipment_id = e.id AND c.ts >= :time_from AND c.ts < :time_to) AS cycles
  FROM servitize.equipment e
  JOIN servitize.point p ON p.equipment_id = e.id AND p.key = 'train.odometer'
 WHERE e.status = 'approved'
 ORDER BY e.name, e.id;

-- name: train_now()$
-- Now of the tenant's timeline.
SELECT servitize.timeline_now();
