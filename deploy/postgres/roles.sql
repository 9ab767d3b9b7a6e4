-- Runs once, as the superuser, in the database `helpdesk` when its volume is empty.
-- The owner migrates; the application owns nothing and cannot get past row-level security.
\getenv owner_password HELPDESK_OWNER_PASSWORD
\getenv app_password HELPDESK_APP_PASSWORD
create role helpdesk_owner login nosuperuser nobypassrls nocreatedb nocreaterole password :'owner_password';
create role helpdesk_app login nosuperuser nobypassrls nocreatedb nocreaterole password :'app_password';
alter database helpdesk owner to helpdesk_owner;
revoke connect on database helpdesk from public;
grant connect on database helpdesk to helpdesk_app;
-- Only a superuser may; the migrations find it there.
create extension vector;
