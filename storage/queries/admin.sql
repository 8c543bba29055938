-- name: create_tenant(slug, name, unknown_equipment, publisher_clock, past_window_us, future_bound_us)$
INSERT INTO servitize.tenant (slug, name, unknown_equipment, publisher_clock, past_window_us, future_bound_us)
VALUES (:slug, :name, :unknown_equipment, :publisher_clock, :past_window_us, :future_bound_us)
RETURNING id;

-- name: tenant_id(slug)$
SELECT id FROM servitize.tenant WHERE slug = :slug;

-- name: update_tenant(id, unknown_equipment, publisher_clock, past_window_us, future_bound_us)!
UPDATE servitize.tenant
   SET unknown_equipment = :unknown_equipment, publisher_clock = :publisher_clock, past_window_us = :past_window_us,
       future_bound_us = :future_bound_us
 WHERE id = :id;

-- name: create_site(tenant_id, key, name, timezone)$
INSERT INTO servitize.site (tenant_id, key, name, timezone) VALUES (:tenant_id, :key, :name, :timezone)
ON CONFLICT (tenant_id, key) DO UPDATE SET name = excluded.name, timezone = excluded.timezone
RETURNING id;

-- name: publish_type(key, tenant_id, name, version, document)$
-- NULL where the document is the one already published.
INSERT INTO servitize.equipment_type AS t (key, tenant_id, name, version, document)
VALUES (:key, :tenant_id, :name, :version, :document)
ON CONFLICT (key) DO UPDATE
   SET name = excluded.name, version = excluded.version, document = excluded.document, revision = t.revision + 1, published_at = now()
 WHERE t.document IS DISTINCT FROM excluded.document
RETURNING revision;

-- name: type_owner(key)^
SELECT tenant_id, revision FROM servitize.equipment_type WHERE key = :key;

-- name: keep_type_revision(key)!
INSERT INTO servitize.equipment_type_history (key, revision, version, document, published_at)
SELECT key, revision, version, document, published_at FROM servitize.equipment_type WHERE key = :key;

-- name: create_equipment(tenant_id, key, name, serial, type_key, site_id, status, commissioned_at)$
INSERT INTO servitize.equipment (tenant_id, key, name, serial, type_key, site_id, status, commissioned_at)
VALUES (:tenant_id, :key, :name, :serial, :type_key, :site_id, :status, :commissioned_at)
RETURNING id;

-- name: equipment_id(tenant_id, key)$
SELECT id FROM servitize.equipment WHERE tenant_id = :tenant_id AND key = :key;

-- name: pending_equipment(tenant_id)
SELECT id, key, type_key, servitize.to_us(registered_at) AS registered_at
  FROM servitize.equipment WHERE tenant_id = :tenant_id AND status = 'pending' ORDER BY id;

-- name: set_equipment(id, status, type_key)$
UPDATE servitize.equipment SET status = :status, type_key = coalesce(:type_key, type_key) WHERE id = :id RETURNING type_key;

-- name: grant_equipment(equipment_id, tenant_id, rights, valid_from, valid_until)$
INSERT INTO servitize.equipment_grant (equipment_id, tenant_id, rights, valid_from, valid_until)
VALUES (:equipment_id, :tenant_id, :rights, coalesce(:valid_from, now()), :valid_until)
RETURNING id;

-- name: end_grant(id)$
UPDATE servitize.equipment_grant SET valid_until = greatest(clock_timestamp(), valid_from + interval '1 microsecond')
 WHERE id = :id RETURNING id;

-- name: create_api_key(tenant_id, name, prefix, hash, scopes, role, expires_at, person)$
-- Without a role it has the one with the fewest scopes that has all of its own.
INSERT INTO servitize.api_key (tenant_id, name, prefix, hash, scopes, role, expires_at, person)
VALUES (:tenant_id, :name, :prefix, :hash, :scopes,
        coalesce(:role::text, (SELECT r.role FROM servitize.role_scope r GROUP BY r.role
                                HAVING :scopes::text[] <@ array_agg(r.scope) ORDER BY count(*), r.role LIMIT 1), 'admin'),
        :expires_at, :person)
RETURNING id;

-- name: revoke_api_key(id)$
UPDATE servitize.api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = :id RETURNING id;

-- name: api_keys(tenant_id)
SELECT id, name, prefix, scopes, role, servitize.to_us(created_at), servitize.to_us(expires_at), servitize.to_us(revoked_at),
       servitize.to_us(last_used_at), coalesce(person, (SELECT u.subject FROM servitize.app_user u WHERE u.id = user_id))
  FROM servitize.api_key WHERE tenant_id = :tenant_id ORDER BY id;

-- name: authenticate(prefix, hash)^
SELECT key_id, tenant_id, tenant, scopes, role FROM servitize.authenticate(:prefix, :hash);

-- name: create_device(tenant_id, equipment_id, client_id, username, secret_hash, nonce, edge_node, by_certificate)$
INSERT INTO servitize.device (tenant_id, equipment_id, client_id, username, secret_hash, nonce, edge_node, by_certificate)
VALUES (:tenant_id, :equipment_id, :client_id, :username, :secret_hash, :nonce, :edge_node, :by_certificate)
RETURNING id;

-- name: rotate_device(id, secret_hash, nonce)$
UPDATE servitize.device SET secret_hash = :secret_hash, nonce = :nonce, rotated_at = now(), revoked_at = NULL
 WHERE id = :id RETURNING username;

-- name: revoke_device(id)$
UPDATE servitize.device SET revoked_at = coalesce(revoked_at, now()) WHERE id = :id RETURNING username;

-- name: devices(tenant_id)
-- All tenants' where tenant_id is NULL.
SELECT d.id, d.tenant_id, t.slug, d.equipment_id, e.key, d.client_id, d.username, d.secret_hash, d.revoked_at IS NOT NULL,
       d.nonce, d.edge_node, d.by_certificate
  FROM servitize.device d JOIN servitize.tenant t ON t.id = d.tenant_id LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
 WHERE :tenant_id::int IS NULL OR d.tenant_id = :tenant_id::int
 ORDER BY d.id;

-- name: create_board_login(tenant_id)!
INSERT INTO servitize.board_login (login, tenant_id) VALUES (current_setting('servitize.role'), :tenant_id)
ON CONFLICT (login) DO UPDATE SET tenant_id = excluded.tenant_id;

-- name: audit(tenant_id, actor, action, object, detail)!
INSERT INTO servitize.audit_log (tenant_id, actor, action, object, detail) VALUES (:tenant_id, :actor, :action, :object, :detail);

-- name: put_profile(tenant_id, name, document)$
-- NULL where the same document is there already.
INSERT INTO servitize.mapping_profile AS p (tenant_id, name, document) VALUES (:tenant_id, :name, :document)
ON CONFLICT (tenant_id, name) DO UPDATE SET document = excluded.document, changed_at = now()
 WHERE p.document IS DISTINCT FROM excluded.document
RETURNING p.name;

-- name: remove_profile(tenant_id, name)$
DELETE FROM servitize.mapping_profile WHERE tenant_id = :tenant_id AND name = :name RETURNING name;
