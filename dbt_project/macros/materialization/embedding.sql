{#-
    A model whose SELECT gives interactions, and whose relation has vectors.

    The SELECT has user_id and item_id, and may have weight and event_time. Building the model trains on it, measures it
    if asked to, and makes the run live; the relation is a view of the live run's item vectors. Two more views stand
    next to it: <model>__runs, a row per run, and <model>__metrics, the live run's figures.

    Every option stands under meta.embsql; README.md lists them. A run is skipped when neither the rows nor the options
    have changed, and forced by --full-refresh. With meta.embsql.refresh the users of new events are folded into the live
    run instead, until --full-refresh. When the gate refuses a run the node fails and what was live stays so.
    With --empty or --sample nothing is trained: the views are there, and show what is live.
-#}
{% materialization embedding, default, supported_languages=['sql'] %}

  {%- set settings = embsql.settings_of(model) -%}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- set grant_config = config.get('grants') -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {% do embsql.check_settings(settings, this) %}
  {% if not (flags.EMPTY or flags.SAMPLE) %}
    {% if settings.refresh is not none and embsql.live_run(settings.name) and not should_full_refresh() %}
      {% do embsql.refresh_model(settings, sql) %}
    {% else %}
      {% do embsql.train_model(settings, sql) %}
    {% endif %}
  {% endif %}

  {% if existing_relation is not none and not existing_relation.is_view %}
    {% do adapter.drop_relation(existing_relation) %}
  {% endif %}
  {% set relations = embsql.create_views(target_relation, settings) %}
  {% do apply_grants(target_relation, grant_config, should_revoke=should_revoke(existing_relation, full_refresh_mode=True)) %}
  {% do persist_docs(target_relation, model) %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}

  {{ return({'relations': relations}) }}

{% endmaterialization %}
