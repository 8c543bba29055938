-- name: take_role()^
-- For the life of the connection. "bound" is false for a login that row security does not bind, whatever role it takes.
WITH taken AS MATERIALIZED (SELECT set_config('role', 'servitize_api', false) AS role)
SELECT session_user AS login,
       bool_and(NOT (r.rolsuper OR r.rolbypassrls)) AND pg_has_role(session_user, 'servitize_api', 'MEMBER') AS bound
  FROM taken t JOIN pg_roles r ON r.rolname IN (t.role, session_user);

-- name: become_tenant(tenant)^
-- Until the end of the transaction.
SELECT set_config('servitize.tenant', :tenant, true);

-- name: authenticate(prefix, hash)^
-- What follows in the transaction sees what the key's tenant sees.
SELECT a.key_id, a.tenant_id, a.scopes, a.role, set_config('servitize.tenant', a.tenant_id::text, true) AS tenant
  FROM servitize.authenticate(:prefix, :hash) a;

-- name: me(key)^
SELECT k.prefix, k.name, k.scopes, k.role, k.expires_at FROM servitize.api_key k WHERE k.id = :key;

-- name: audit(actor, action, object, detail)!
INSERT INTO servitize.audit_log (tenant_id, actor, action, object, detail)
VALUES ((SELECT servitize.current_tenant()), :actor, :action, :object, :detail::jsonb);

-- name: key_holds(key)$
SELECT k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) FROM servitize.api_key k WHERE k.id = :key;
