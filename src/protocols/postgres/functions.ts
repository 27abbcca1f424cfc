/** What a function's name tells of it. */
import { harmlessFunctions } from './harmless-functions.generated.ts'

/** Functions that reach out of the database or end other people's work. */
export const graveFunctions =
  /^(?:pg_read_(?:binary_)?file|pg_ls_.*|pg_stat_file|lo_import|lo_export|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile.*|pg_file_.*|pg_logdir_ls|dblink.*|pg_promote|pg_switch_wal|pg_create_.*|pg_drop_.*|pg_replication_.*|pg_logical_.*|pg_backup_.*|pg_start_backup|pg_stop_backup|pg_wal_replay_.*|.*_to_xml.*|pg_log_backend_memory_contexts|pg_stat_reset.*|binary_upgrade_.*|plpgsql_call_handler)$/

export function isHarmless(name: string): boolean {
  const dot = name.lastIndexOf('.')
  if (dot >= 0 && name.slice(0, dot) !== 'pg_catalog') return false
  return harmlessFunctions.has(name.slice(dot + 1)) || bare(name) === 'set_config'
}

/** Without its schema. */
export function bare(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
