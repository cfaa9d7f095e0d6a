import { Command } from 'commander';
import { addChaosCommands } from './commands/chaos.ts';
import { addConfigCommands } from './commands/config.ts';
import { addConflictsCommands } from './commands/conflicts.ts';
import type { CommandContext } from './commands/context.ts';
import { addEventsCommand } from './commands/events.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addJobsCommands } from './commands/jobs.ts';
import { addModelsCommands } from './commands/models.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addRecognizeCommand } from './commands/recognize.ts';
import { addRegionsCommand } from './commands/regions.ts';
import { addSimulateCommand } from './commands/simulate.ts';
import { addSyncCommands } from './commands/sync.ts';
import { addTenantsCommands } from './commands/tenants.ts';
import { addTraceCommand } from './commands/trace.ts';

/** The whole command line. Usage errors are thrown as CommanderError, everything else as what the command threw. */
export function createProgram(context: CommandContext, stateDirectory: string): Command {
  const program = new Command('meridian')
    .description('Image-recognition models in many regions, served as one service.')
    .option('--json', 'print JSON, one value a line')
    .option('--state <dir>', 'state folder of the local run', stateDirectory)
    .option('--address <host:port>', 'talk to this door instead of a local run (needs --certificates)')
    .option('--certificates <dir>', 'folder with client/ and operator/ certificates')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void context.terminal.out.write(text),
      writeErr: (text) => void context.terminal.err.write(text),
    })
    .showHelpAfterError('(see --help)')
    .exitOverride();
  addRecognizeCommand(program, context);
  addJobsCommands(program, context);
  addModelsCommands(program, context);
  addConfigCommands(program, context);
  addConflictsCommands(program, context);
  addTenantsCommands(program, context);
  addSyncCommands(program, context);
  addRegionsCommand(program, context);
  addEventsCommand(program, context);
  addTraceCommand(program, context);
  addExplainCommand(program, context);
  addPlanCommand(program, context);
  addChaosCommands(program, context);
  addSimulateCommand(program, context);
  return program;
}
