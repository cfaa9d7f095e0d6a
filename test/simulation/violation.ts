/** A property of the reference does not hold. Ends the run. */
export class Violation extends Error {
  /** For example `S9`. */
  readonly property: string;

  constructor(property: string, message: string) {
    super(message);
    this.name = 'Violation';
    this.property = property;
  }
}
