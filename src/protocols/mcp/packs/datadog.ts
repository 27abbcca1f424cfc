/** Datadog's own MCP server, by the tools that its documentation names (mcp_server/tools, read 2026-08). */
import type { Pack, PackedTool } from './pack.ts'

/** What a person should see first: it runs code, changes what others rely on, or takes something away. */
const asked: Readonly<Record<'write' | 'delete' | 'admin', readonly string[]>> = {
  admin: [
    'execute_code',
    'execute_datadog_workflow',
    'update_datadog_workflow_with_agent_trigger',
    'datadog_remote_action_restricted_shell_run_command',
  ],
  delete: ['delete_*'],
  write: [
    'upsert_datadog_dashboard',
    'update_datadog_feature_flag_environment',
    'sync_datadog_feature_flag_allocations',
    'create_datadog_feature_flag',
    'create_datadog_security_suppression',
    'update_datadog_security_suppression',
    'mute_datadog_security_findings',
    'update_datadog_security_signals_triage',
    'update_datadog_flaky_test_states',
    'edit_synthetics_tests',
    'synthetics_test_wizard',
    'create_reference_table',
    'append_reference_table_rows',
    'create_datadog_monitor',
  ],
}

/** What gives back rows of somebody's data, where secrets and people come up. */
const masked = [
  'search_datadog_logs',
  'analyze_datadog_logs',
  'search_datadog_rum_events',
  'search_datadog_spans',
  'get_datadog_trace',
  'search_datadog_database_samples',
  'get_datadog_database_query_statement',
  'search_datadog_users',
  'ddsql_run_query',
  'get_reference_table_rows',
  'get_datadog_k8s_manifest',
]

const reading = ['search_*', 'get_*', 'list_*', 'analyze_*', 'ddsql_run_query']
const writing = ['create_*', 'edit_*', 'update_*', 'upsert_*', 'append_*', 'mute_*', 'sync_*']

const tools: readonly PackedTool[] = [
  ...reading.map(match => ({ match, risk: 'read' as const })),
  ...writing.map(match => ({ match, risk: 'write' as const })),
  ...masked.map(match => ({ match, risk: 'read' as const, mask: ['secrets', 'personal'] })),
  ...(['write', 'delete', 'admin'] as const).flatMap(risk =>
    asked[risk].map(match => ({ match, risk, tags: ['approval'] })),
  ),
]

export const datadogPack: Pack = { name: 'datadog', tools }
