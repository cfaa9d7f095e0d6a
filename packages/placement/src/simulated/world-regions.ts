export interface SimulatedRegion {
  readonly name: string;
  /** Degrees north. */
  readonly latitude: number;
  /** Degrees east. */
  readonly longitude: number;
  readonly workers: number;
  /** Relative demand of its users. */
  readonly weight: number;
}

/** Six regions around the world, with the workers and weights that routing policies were first compared with. */
export const SIX: readonly SimulatedRegion[] = [
  { name: 'us-west', latitude: 37.35, longitude: -121.96, workers: 20, weight: 1 },
  { name: 'us-east', latitude: 38.95, longitude: -77.45, workers: 24, weight: 1.3 },
  { name: 'sa-east', latitude: -23.55, longitude: -46.63, workers: 8, weight: 0.6 },
  { name: 'eu-west', latitude: 53.35, longitude: -6.26, workers: 24, weight: 1.4 },
  { name: 'ap-south', latitude: 19.08, longitude: 72.88, workers: 12, weight: 1.2 },
  { name: 'ap-northeast', latitude: 35.68, longitude: 139.69, workers: 16, weight: 1 },
];

/**
 * Twenty-four cities that large clouds have data centres in: more workers where power is cheap and clouds began, more demand
 * where people are, so that the two do not match.
 */
export const TWENTY_FOUR: readonly SimulatedRegion[] = [
  { name: 'oregon', latitude: 45.84, longitude: -119.7, workers: 16, weight: 0.7 },
  { name: 'california', latitude: 37.35, longitude: -121.96, workers: 10, weight: 1.1 },
  { name: 'texas', latitude: 32.78, longitude: -96.8, workers: 10, weight: 0.8 },
  { name: 'iowa', latitude: 41.26, longitude: -95.86, workers: 14, weight: 0.5 },
  { name: 'virginia', latitude: 38.95, longitude: -77.45, workers: 20, weight: 1.3 },
  { name: 'montreal', latitude: 45.5, longitude: -73.57, workers: 8, weight: 0.5 },
  { name: 'queretaro', latitude: 20.59, longitude: -100.39, workers: 4, weight: 0.6 },
  { name: 'santiago', latitude: -33.45, longitude: -70.67, workers: 4, weight: 0.3 },
  { name: 'sao-paulo', latitude: -23.55, longitude: -46.63, workers: 8, weight: 1 },
  { name: 'dublin', latitude: 53.35, longitude: -6.26, workers: 16, weight: 0.6 },
  { name: 'london', latitude: 51.51, longitude: -0.13, workers: 10, weight: 1 },
  { name: 'frankfurt', latitude: 50.11, longitude: 8.68, workers: 14, weight: 1.2 },
  { name: 'stockholm', latitude: 59.33, longitude: 18.07, workers: 8, weight: 0.4 },
  { name: 'milan', latitude: 45.46, longitude: 9.19, workers: 6, weight: 0.7 },
  { name: 'johannesburg', latitude: -26.2, longitude: 28.05, workers: 4, weight: 0.5 },
  { name: 'bahrain', latitude: 26.23, longitude: 50.59, workers: 4, weight: 0.5 },
  { name: 'mumbai', latitude: 19.08, longitude: 72.88, workers: 10, weight: 1.4 },
  { name: 'hyderabad', latitude: 17.39, longitude: 78.49, workers: 8, weight: 0.8 },
  { name: 'singapore', latitude: 1.35, longitude: 103.82, workers: 12, weight: 1 },
  { name: 'jakarta', latitude: -6.21, longitude: 106.85, workers: 4, weight: 0.8 },
  { name: 'hong-kong', latitude: 22.32, longitude: 114.17, workers: 8, weight: 0.9 },
  { name: 'seoul', latitude: 37.57, longitude: 126.98, workers: 8, weight: 0.8 },
  { name: 'tokyo', latitude: 35.68, longitude: 139.69, workers: 14, weight: 1.2 },
  { name: 'sydney', latitude: -33.87, longitude: 151.21, workers: 8, weight: 0.5 },
];
