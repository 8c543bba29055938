-- name: waveforms(id, equipment, channel, purpose, request, time_from, time_to, after_ts, after_id, count)
-- Newest first; without samples. "state": the machine's at that moment.
SELECT w.id, w.equipment_id, e.key AS equipment_key, e.name AS equipment_name, w.ts, w.rate, w.samples, w.channels, w.speed, w.load,
       w.rotation, w.purpose, w.retention, w.request, w.meta, w.encoding, length(w.data) AS bytes, w.tacho IS NOT NULL AS tacho,
       w.received_at, encode(w.hash, 'hex') AS hash, s.state
  FROM servitize.waveform w
  JOIN servitize.equipment e ON e.id = w.equipment_id
  LEFT JOIN LATERAL (
       SELECT x.state FROM servitize.state_change x WHERE x.equipment_id = w.equipment_id AND x.at <= w.ts ORDER BY x.at DESC LIMIT 1) s ON true
 WHERE (:id::bigint IS NULL OR w.id = :id)
   AND (:equipment::int IS NULL OR w.equipment_id = :equipment)
   AND (:channel::text IS NULL OR w.channels @> jsonb_build_array(jsonb_build_object('name', :channel::text)))
   AND (:purpose::text IS NULL OR w.purpose = :purpose)
   AND (:request::text IS NULL OR w.request = :request)
   AND (:time_from::timestamptz IS NULL OR w.ts >= :time_from)
   AND (:time_to::timestamptz IS NULL OR w.ts < :time_to)
   AND (:after_ts::timestamptz IS NULL OR (w.ts, w.id) < (:after_ts, :after_id::bigint))
 ORDER BY w.ts DESC, w.id DESC
 LIMIT :count;

-- name: waveform_samples(ids)
SELECT w.id, w.equipment_id, w.ts, w.rate, w.samples, w.channels, w.speed, w.load, w.rotation, w.encoding, w.tacho, w.data
  FROM servitize.waveform w WHERE w.id = ANY (:ids::bigint[]) ORDER BY w.ts;

-- name: waveform_times(equipment, channels, time_from, time_to)
-- Those that have any of the channels, oldest first.
SELECT w.id, w.ts, w.purpose, w.rate, w.samples, ARRAY(SELECT c->>'name' FROM jsonb_array_elements(w.channels) c) AS channels
  FROM servitize.waveform w
 WHERE w.equipment_id = :equipment AND w.ts >= :time_from AND w.ts < :time_to
   AND EXISTS (SELECT FROM jsonb_array_elements(w.channels) c WHERE c->>'name' = ANY (:channels::text[]))
 ORDER BY w.ts;

-- name: places_of(equipment)^
SELECT e.id, e.key, e.name, t.document
  FROM servitize.equipment e JOIN servitize.equipment_type t ON t.key = e.type_key WHERE e.id = :equipment;

-- name: component_points(equipment, component)
SELECT p.id, p.key, p.unit, p.description
  FROM servitize.point p JOIN servitize.component c ON c.id = p.component_id
 WHERE p.equipment_id = :equipment AND c.key = :component ORDER BY p.position, p.key;

-- name: component_name(equipment, component)$
SELECT c.name FROM servitize.component c WHERE c.equipment_id = :equipment AND c.key = :component;

-- name: cases(id, equipment, component, state, after, count)
-- Newest first.
SELECT c.id, c.equipment_id, e.key AS equipment_key, e.name AS equipment_name, c.component, k.name AS component_name, c.title, c.origin,
       c.alarm_id, c.state, c.about, c.opened_at, c.opened_by, c.diagnosis, c.evidence, c.diagnosed_at, c.conclusion, c.concluded_by,
       c.concluded_at, c.signed_by, c.signed_at, c.found, c.found_by, c.found_at, c.outcome
  FROM servitize.diagnosis_case c
  JOIN servitize.equipment e ON e.id = c.equipment_id
  LEFT JOIN servitize.component k ON k.equipment_id = c.equipment_id AND k.key = c.component
 WHERE (:id::bigint IS NULL OR c.id = :id)
   AND (:equipment::int IS NULL OR c.equipment_id = :equipment)
   AND (:component::text IS NULL OR c.component = :component)
   AND (:state::text[] IS NULL OR c.state = ANY (:state))
   AND (:after::bigint IS NULL OR c.id < :after)
 ORDER BY c.id DESC
 LIMIT :count;

-- name: case_entries(case, after, count)
-- Newest first.
SELECT j.id, j.at, j.event, j.actor, j.from_state, j.to_state, j.body
  FROM servitize.case_entry j WHERE j.case_id = :case AND (:after::bigint IS NULL OR j.id < :after) ORDER BY j.id DESC LIMIT :count;

-- name: last_case_entry(case)$
SELECT max(j.id) FROM servitize.case_entry j WHERE j.case_id = :case;

-- name: hold_case(case)$
SELECT servitize.hold_case(:case::bigint);

-- name: case_waveforms(case)
SELECT w.waveform_id AS id, w.part, x.ts FROM servitize.case_waveform w JOIN servitize.waveform x ON x.id = w.waveform_id
 WHERE w.case_id = :case ORDER BY x.ts;

-- name: open_case(equipment, component, title, about, who)$
SELECT servitize.open_case(:equipment::int, :component::text, :title::text, :about::timestamptz, :who::text);

-- name: work_case(case, event, who, facts)^
SELECT w.from_state, w.to_state FROM servitize.work_case(:case::bigint, :event::text, :who::text, :facts::jsonb) w;

-- name: claim_case()^
SELECT c.case_id, c.tenant_id, c.equipment_id, c.component, c.about FROM servitize.claim_case() c;

-- name: file_diagnosis(case, facts, waveforms, parts)$
SELECT servitize.file_diagnosis(:case::bigint, :facts::jsonb, :waveforms::bigint[], :parts::text[]);

-- name: request_capture(equipment, channels, seconds, reason, case, who)$
SELECT servitize.request_capture(:equipment::int, :channels::text[], :seconds::float8, :reason::text, :case::bigint, :who::text);

-- name: captures(id, equipment, after, count)
-- Newest first, each with the waveforms that answered it.
SELECT r.id, r.equipment_id, e.key AS equipment_key, e.name AS equipment_name, r.channels, r.seconds, r.reason, r.case_id, r.requested_by,
       r.requested_at, r.expires_at, r.sent_at,
       ARRAY(SELECT w.id FROM servitize.waveform w WHERE w.equipment_id = r.equipment_id AND w.request = r.word ORDER BY w.ts) AS waveforms
  FROM servitize.capture_request r JOIN servitize.equipment e ON e.id = r.equipment_id
 WHERE (:id::bigint IS NULL OR r.id = :id) AND (:equipment::int IS NULL OR r.equipment_id = :equipment)
   AND (:after::bigint IS NULL OR r.id < :after)
 ORDER BY r.id DESC LIMIT :count;

-- name: labels(after, count)
SELECT l.case_id, l.equipment_id, l.component, l.about, l.said_mode, l.concluded_mode, l.found_mode, l.found_component, l.outcome
  FROM servitize.diagnosis_label l WHERE :after::bigint IS NULL OR l.case_id < :after ORDER BY l.case_id DESC LIMIT :count;
