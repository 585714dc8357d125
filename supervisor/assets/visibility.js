// How visible a landmark has to be.

/** Landmarks less visible than this are neither drawn nor measured. */
export const VISIBILITY_MIN = 0.5;
