/** Long checks that a test run has no time for. @returns whether everything held. */
export type Scenario = (say: (text: string) => void) => Promise<boolean>;
