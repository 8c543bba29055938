-- Runs once, as the superuser, when the database's volume is empty: one login that owns the database and may make the other roles.
-- No service of ours is a superuser; `servitize migrate` does the rest as this owner.
\set ON_ERROR_STOP on
\set password `cat "${SECRETS:-/run/secrets}/database-servitize"`
CREATE ROLE servitize LOGIN CREATEROLE PASSWORD :'password';
-- template0: without what the image put into template1; the extension is made by the first migration, and so is the owner's.
CREATE DATABASE servitize OWNER servitize TEMPLATE template0 ENCODING 'UTF8';
