-- name: add(name, kind, type_key, window_from, window_to, machines, features, code_version, metrics, calibration, file, signature, actor)$
SELECT servitize.add_model(:name, :kind, :type_key, :window_from, :window_to, :machines::int, :features, :code_version, :metrics, :calibration,
                           :file::bytea, :signature::bytea, :actor);

-- name: set_status(name, version, status, actor, reason)$
SELECT servitize.set_model_status(:name, :version::int, :status, :actor, :reason);

-- name: list_models(name)
SELECT m.name, m.version, m.kind, m.type_key, m.status, m.window_from, m.window_to, m.machines, m.features, m.code_version, m.metrics,
       m.calibration, length(m.file), m.created_at, m.created_by
  FROM servitize.model m
 WHERE :name::text IS NULL OR m.name = :name::text
 ORDER BY m.name, m.version DESC;

-- name: speaking()
-- Champions and challengers, without their files: cheap to ask often.
SELECT m.name, m.version, m.status FROM servitize.model m WHERE m.status IN ('champion', 'challenger')
 ORDER BY m.name, m.status DESC;

-- name: at_work(name, version)^
-- What a processor needs to know of a version beside its file.
SELECT m.kind, m.type_key, m.features, coalesce(m.calibration->'reference', '{}') FROM servitize.model m
 WHERE m.name = :name AND m.version = :version;

-- name: file(name, version)^
SELECT m.kind, m.type_key, m.file, m.signature FROM servitize.model m WHERE m.name = :name AND m.version = :version;

-- name: before_champion(name)$
-- The version that was champion before the one that is: of the older ones the last to give up its place.
SELECT m.version
  FROM servitize.model m JOIN servitize.model_step s ON s.model_id = m.id
 WHERE m.name = :name AND m.status = 'retired' AND s.from_status = 'champion' AND s.to_status = 'retired'
   AND m.version < (SELECT c.version FROM servitize.model c WHERE c.name = :name AND c.status = 'champion')
 ORDER BY s.id DESC
 LIMIT 1;

-- name: steps(name)
SELECT m.version, s.at, s.actor, s.from_status, s.to_status, s.reason
  FROM servitize.model m JOIN servitize.model_step s ON s.model_id = m.id
 WHERE m.name = :name
 ORDER BY s.id;

-- name: machines(type_key, tenant)
SELECT e.id, e.key FROM servitize.equipment e JOIN servitize.tenant t ON t.id = e.tenant_id
 WHERE e.type_key = :type_key AND e.status = 'approved' AND (:tenant::text IS NULL OR t.slug = :tenant::text)
 ORDER BY e.id;

-- name: steps_of(equipment_id, step_us)
-- Mean of the good readings of each measured point and step of time.
SELECT p.key, servitize.to_us(r.ts) / :step_us::bigint AS step, avg(r.value) AS mean
  FROM servitize.point p JOIN servitize.reading r ON r.point_id = p.id
 WHERE p.equipment_id = :equipment_id AND p.kind = 'measured' AND (r.quality::int & 192) = 192
 GROUP BY p.key, step
 ORDER BY step, p.key;

-- name: states_of(equipment_id)
SELECT servitize.to_us(s.at) AS at, s.state FROM servitize.state_change s WHERE s.equipment_id = :equipment_id ORDER BY s.at;

-- name: failures_of(equipment_id)
-- Failures that were confirmed since, and those that an event said.
SELECT servitize.to_us(v.ts) AS at, coalesce(v.body ->> 'component', '') AS component
  FROM servitize.event v WHERE v.equipment_id = :equipment_id AND v.kind = 'failure'
 UNION
SELECT servitize.to_us(o.at), o.component FROM servitize.confirmed_outcome o
 WHERE o.equipment_id = :equipment_id AND o.verdict = 'failure' AND o.withdrawn_at IS NULL
 ORDER BY 1, 2;

-- name: faults_of(type_key)
SELECT e.id, servitize.to_us(v.ts) AS at FROM servitize.event v JOIN servitize.equipment e ON e.id = v.equipment_id
 WHERE e.type_key = :type_key AND v.kind = 'failure'
 UNION
SELECT e.id, servitize.to_us(o.at) FROM servitize.confirmed_outcome o JOIN servitize.equipment e ON e.id = o.equipment_id
 WHERE e.type_key = :type_key AND o.verdict IN ('failure', 'defect') AND o.withdrawn_at IS NULL
 ORDER BY 1, 2;
