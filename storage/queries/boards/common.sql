-- What every board asks. Times in parameters are microseconds since 1970 UTC.

-- name: now()^
SELECT servitize.to_us(servitize.timeline_now()) AS now_us;

-- name: equipment(points)
-- What a reader may choose, worst first: with a point that matches one of the patterns; empty or NULL means any. Asked of each type's newest
-- machine, since all of a type have the same points.
SELECT e.id AS value, e.name AS text
  FROM servitize.equipment e
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
 WHERE e.status = 'approved'
   AND (coalesce(cardinality(:points::text[]), 0) = 0 OR e.type_key IN (
        SELECT x.type_key FROM (SELECT DISTINCT ON (n.type_key) n.type_key, n.id FROM servitize.equipment n
                                 WHERE n.status = 'approved' ORDER BY n.type_key, n.id DESC) x
         WHERE EXISTS (SELECT FROM servitize.point p WHERE p.equipment_id = x.id AND p.key ~ ANY (:points::text[]))))
 ORDER BY h.index NULLS LAST, e.name, e.id;

-- name: alarm_marks(equipment, from_us, to_us)
-- One mark per transition of an alarm's state; consequences of another alarm are left to that one's mark.
SELECT j.at AS time, NULL::timestamptz AS time_end,
       a.title AS title, a.component || ' · ' || j.event || CASE WHEN j.reason <> '' THEN ' · ' || j.reason ELSE '' END AS text,
       CASE WHEN j.announced THEN j.priority WHEN j.event = 'cleared' THEN 'ended' ELSE 'changed' END AS tag
  FROM servitize.alarm_journal j
  JOIN servitize.alarm a ON a.id = j.alarm_id
 WHERE j.equipment_id = :equipment::int
   AND j.at >= servitize.from_us(:from_us::bigint) AND j.at < servitize.from_us(:to_us::bigint)
   AND (j.announced OR j.from_state <> j.to_state) AND j.first_out IS NULL
 ORDER BY j.at, j.id
 LIMIT 500;
