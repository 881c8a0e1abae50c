/** What SPIRE's server and agent are run with, here and in `docker/compose.yaml`. */
export function spireArguments(configuration: string): readonly string[] {
  return ['run', '-config', configuration, '-expandEnv']
}
