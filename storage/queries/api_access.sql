-- name: issuers_for(issuer, audiences)
SELECT i.id, i.tenant_id, i.tenant, i.audience, i.jwks_uri, i.algorithms, i.role_claim, i.role_map, i.default_role
  FROM servitize.issuers_for(:issuer::text, :audiences::text[]) i;

-- name: enter_user(issuer, subject, name, email)^
-- What follows in the transaction sees what the user's tenant sees.
SELECT u.user_id, u.tenant_id, u.role, set_config('servitize.tenant', u.tenant_id::text, true) AS tenant
  FROM servitize.enter_user(:issuer::int, :subject::text, :name::text, :email::text) u;

-- name: user_holds(user)$
SELECT u.disabled_at IS NULL AND i.enabled
  FROM servitize.app_user u JOIN servitize.identity_issuer i ON i.id = u.issuer_id WHERE u.id = :user;

-- name: tenant_ref()^
SELECT t.slug AS key, t.name FROM servitize.tenant t WHERE t.id = (SELECT servitize.current_tenant());

-- name: begin_request(actor, key_hash, fingerprint)$
-- Waits for another request with the same key that is under way; NULL where that one, or an earlier one, was committed.
INSERT INTO servitize.request_memory (actor, key_hash, fingerprint) VALUES (:actor, :key_hash, :fingerprint)
ON CONFLICT (tenant_id, actor, key_hash) DO NOTHING RETURNING 1;

-- name: earlier_request(actor, key_hash)^
SELECT r.fingerprint, r.status, r.answer FROM servitize.request_memory r WHERE r.actor = :actor AND r.key_hash = :key_hash;

-- name: remember_answer(actor, key_hash, status, answer)!
UPDATE servitize.request_memory SET status = :status, answer = :answer WHERE actor = :actor AND key_hash = :key_hash;

-- name: hold_alarm(alarm)$
SELECT servitize.hold_alarm(:alarm::bigint);

-- name: hold_equipment(equipment)$
SELECT servitize.hold_equipment(:equipment::int);

-- name: version_of_equipment(equipment)$
SELECT servitize.version_of_equipment(:equipment::int);

-- name: audit_entries(actor, action, object, time_from, time_to, after, count)
-- Newest first.
SELECT a.id, a.at, a.actor, a.action, a.object, a.detail
  FROM servitize.audit_log a
 WHERE (:actor::text IS NULL OR a.actor = :actor)
   AND (:action::text IS NULL OR a.action = :action OR starts_with(a.action, :action || '.'))
   AND (:object::text IS NULL OR a.object = :object)
   AND (:time_from::timestamptz IS NULL OR a.at >= :time_from)
   AND (:time_to::timestamptz IS NULL OR a.at < :time_to)
   AND (:after::bigint IS NULL OR a.id < :after)
 ORDER BY a.id DESC
 LIMIT :count;

-- name: keys(id, after, count)
SELECT k.id, k.prefix, k.name, k.role, k.scopes, k.user_id AS user, k.person, k.created_at, k.expires_at, k.revoked_at, k.last_used_at
  FROM servitize.api_key k
 WHERE (:id::bigint IS NULL OR k.id = :id) AND (:after::bigint IS NULL OR k.id > :after)
 ORDER BY k.id
 LIMIT :count;

-- name: make_key(name, prefix, hash, scopes, role, expires_at, user, person, actor)$
-- Of the user or person named, else of whose it is that makes it.
INSERT INTO servitize.api_key (tenant_id, name, prefix, hash, scopes, role, expires_at, user_id, person, made_by)
SELECT (SELECT servitize.current_tenant()), :name, :prefix, :hash, :scopes, :role, :expires_at,
       CASE WHEN :user::bigint IS NULL AND :person::text IS NULL
            THEN coalesce(substring(:actor FROM '^user:(\d{1,18}):')::bigint, m.user_id) ELSE :user END,
       CASE WHEN :user::bigint IS NULL AND :person::text IS NULL THEN m.person ELSE :person END,
       servitize.own_identities(:actor)
  FROM (VALUES (1)) AS one LEFT JOIN servitize.api_key m ON m.prefix = substring(:actor FROM '^api-key:(.*)$')
RETURNING id;

-- name: hold_key(id)^
-- Locked until the transaction ends.
SELECT k.id, k.prefix, k.name, k.revoked_at FROM servitize.api_key k WHERE k.id = :id FOR UPDATE;

-- name: rename_key(id, name)!
UPDATE servitize.api_key SET name = :name WHERE id = :id;

-- name: revoke_key(id)!
UPDATE servitize.api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = :id;

-- name: issuers(id, after, count)
SELECT i.id, i.name, i.issuer, i.audience, i.jwks_uri, i.algorithms, i.role_claim, i.role_map, i.default_role, i.enabled, i.revision, i.created_at
  FROM servitize.identity_issuer i
 WHERE (:id::int IS NULL OR i.id = :id) AND (:after::int IS NULL OR i.id > :after)
 ORDER BY i.id
 LIMIT :count;

-- name: issuer_revision(id)$
SELECT i.revision FROM servitize.identity_issuer i WHERE i.id = :id FOR UPDATE;

-- name: add_issuer(name, issuer, audience, jwks_uri, algorithms, role_claim, role_map, default_role)$
INSERT INTO servitize.identity_issuer (name, issuer, audience, jwks_uri, algorithms, role_claim, role_map, default_role)
VALUES (:name, :issuer, :audience, :jwks_uri, :algorithms, :role_claim, :role_map::jsonb, :default_role)
RETURNING id;

-- name: change_issuer(id, name, audience, jwks_uri, algorithms, role_claim, role_map, default_role, enabled)!
UPDATE servitize.identity_issuer
   SET name = :name, audience = :audience, jwks_uri = :jwks_uri, algorithms = :algorithms, role_claim = :role_claim,
       role_map = :role_map::jsonb, default_role = :default_role, enabled = :enabled, revision = revision + 1
 WHERE id = :id;

-- name: users(id, role, after, count)
SELECT u.id, u.issuer_id, i.issuer, u.subject, u.name, u.email, u.role, u.revision, u.created_at, u.last_seen_at, u.disabled_at
  FROM servitize.app_user u JOIN servitize.identity_issuer i ON i.id = u.issuer_id
 WHERE (:id::bigint IS NULL OR u.id = :id) AND (:role::text IS NULL OR u.role = :role) AND (:after::bigint IS NULL OR u.id > :after)
 ORDER BY u.id
 LIMIT :count;

-- name: user_revision(id)$
SELECT u.revision FROM servitize.app_user u WHERE u.id = :id FOR UPDATE;

-- name: add_user(issuer, subject, name, email, role)$
INSERT INTO servitize.app_user (issuer_id, subject, name, email, role) VALUES (:issuer, :subject, :name, :email, :role) RETURNING id;

-- name: change_user(id, name, email, role, disabled)!
UPDATE servitize.app_user
   SET name = :name, email = :email, role = :role, revision = revision + 1,
       disabled_at = CASE WHEN :disabled::boolean THEN coalesce(disabled_at, now()) END
 WHERE id = :id;
